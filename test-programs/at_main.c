/* at_main: what main finds. Prints errno, argc, the environment's size, and the open descriptors, blocked signals
 * and signal dispositions of /proc. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

int main(int argc, char **argv)
{
    int error = errno, count = 0;
    while (environ && environ[count])
        count++;
    printf("errno %d, argc %d, argv[0] \"%s\", variables %d\n", error, argc, argv[0] ? argv[0] : "(null)", count);
    DIR *fds = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(fds));)
        if (atoi(entry->d_name) != dirfd(fds))
            printf("fd %s\n", entry->d_name);
    for (int signal = 1; signal < 65; signal++) {
        struct sigaction action;
        if (sigaction(signal, 0, &action) == 0 && action.sa_handler != SIG_DFL)
            printf("signal %d\n", signal);
    }
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (line[0] == 'S' && line[1] == 'i' && line[2] == 'g' && line[3] != 'Q')
            fputs(line, stdout);
    return 0;
}
