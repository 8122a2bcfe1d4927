/* emptied_environ WAY...: empties the environment, execs itself in the first way with the rest of them, and so
 * on; in the end translated calls. execl and execle pass one more way on. Prints at each step whether LD_PRELOAD and EVERCALL_LOG are there. */
#include "translate.h"
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;
static char *none[] = {0};

static pid_t child;

static int spawned(int error)
{
    int status = 0;
    if (error || waitpid(child, &status, 0) != child)
        return 1;
    return status != 0;
}

int main(int argc, char **argv)
{
    const char *preload = getenv("LD_PRELOAD"), *log = getenv("EVERCALL_LOG");
    char *self = argv[0], *way = argv[1];
    printf("preload %s, log %s\n", preload ? "kept" : "lost", log ? log : "lost");
    fflush(stdout);
    if (!way) {
        printf("wrong %x\n", translate());
        return 0;
    }
    argv[1] = argv[0];
    argv++;
    if (!strcmp(way, "execve")) execve(self, argv, none);
    if (!strcmp(way, "execve-null")) execve(self, argv, 0);
    if (!strcmp(way, "execle")) execle(self, self, argv[1], (char *)0, none);
    if (!strcmp(way, "execvpe")) execvpe(self, argv, none);
    if (!strcmp(way, "fexecve")) fexecve(open(self, O_RDONLY | O_CLOEXEC), argv, none);
    if (!strcmp(way, "execveat")) execveat(AT_FDCWD, self, argv, none, 0);
    if (!strcmp(way, "syscall")) syscall(SYS_execve, self, argv, none);
    if (!strcmp(way, "syscall-at")) syscall(SYS_execveat, AT_FDCWD, self, argv, none, 0);
    if (!strcmp(way, "posix_spawn")) return spawned(posix_spawn(&child, self, 0, 0, argv, none));
    if (!strcmp(way, "posix_spawnp")) return spawned(posix_spawnp(&child, self, 0, 0, argv, none));
    if (!strcmp(way, "clearenv")) {
        clearenv();
        execv(self, argv);
    }
    if (!strcmp(way, "environ-null")) {
        environ = 0;
        execvp(self, argv);
    }
    if (!strcmp(way, "environ-empty")) {
        environ = none;
        execl(self, self, argv[1], (char *)0);
    }
    perror(way);
    return 1;
}
