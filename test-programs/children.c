/* children NUMBER [ROUNDS]: makes a system call that a filter may refuse, with NULL arguments and a child of
 * its own beside it, and prints what it sees of children: `reaped N sigchld N strangers N errno E`.
 * It has one real child in each round, and waits for any. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void count(int signal) { signals++; }

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: children NUMBER [ROUNDS]\n", stderr);
        return 1;
    }
    long number = strtol(argv[1], NULL, 0);
    int rounds = argc > 2 ? atoi(argv[2]) : 1, reaped = 0, strangers = 0, error = 0;
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    /* First without any child: nothing may turn up. */
    syscall(number, 0, 0, 0, 0, 0, 0);
    if (waitpid(-1, NULL, __WALL | WNOHANG) != -1 || errno != ECHILD)
        strangers++;
    if (signals)
        strangers++;
    for (int i = 0; i < rounds; i++) {
        int gate[2];
        if (pipe(gate))
            return 1;
        pid_t child = fork();
        if (child == 0) {
            char byte;
            close(gate[1]);
            /* Ends when the parent has made its call. */
            _exit(read(gate[0], &byte, 1) == 0 ? 7 : 8);
        }
        errno = 0;
        if (syscall(number, 0, 0, 0, 0, 0, 0) == -1)
            error = errno;
        if (waitpid(-1, NULL, __WALL | WNOHANG) != 0)
            strangers++;
        close(gate[1]);
        close(gate[0]);
        int status;
        for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0; reaped++)
            if (pid != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
                strangers++;
    }
    printf("reaped %d sigchld %d strangers %d errno %d\n", reaped, (int)signals, strangers, error);
    return 0;
}
