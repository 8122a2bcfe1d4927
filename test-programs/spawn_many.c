/* spawn_many N: N children by vfork and execve, N by posix_spawn, all with an empty environment. Prints,
 * before (after a few to warm up) and after: mappings, descriptors, and resident memory in KiB. */
#define _GNU_SOURCE
#include <dirent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *empty[] = {0}, *command[] = {"/bin/true", 0};

static void spawn(int count)
{
    for (volatile int i = 0; i < count; i++) {
        int status;
        pid_t child = vfork();
        if (!child) {
            execve(command[0], command, empty);
            _exit(9);
        }
        if (waitpid(child, &status, 0) != child || status)
            printf("vfork: %x\n", status);
        if (posix_spawn(&child, command[0], 0, 0, command, empty) || waitpid(child, &status, 0) != child || status)
            printf("posix_spawn: %x\n", status);
    }
}

static void measure(void)
{
    char line[4096];
    int mappings = 0, descriptors = 0, resident = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        mappings++;
    fclose(maps);
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        descriptors++;
    closedir(folder);
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "VmRSS:", 6))
            resident = atoi(line + 6);
    fclose(status);
    printf("%d %d %d\n", mappings, descriptors, resident);
}

int main(int argc, char **argv)
{
    measure();
    spawn(20);
    measure();
    spawn(atoi(argv[1]));
    measure();
    return 0;
}
