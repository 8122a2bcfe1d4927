/* in_vfork PROGRAM: translated calls in a vfork child, then in its parent; a vfork child that ends by exec of
 * PROGRAM with an empty environment. Prints the wrong answers of each. */
#include "translate.h"
#include <stdio.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    static volatile unsigned in_child;
    int status;
    pid_t child = vfork();
    if (!child) {
        in_child = translate();
        _exit(7);
    }
    waitpid(child, &status, 0);
    printf("child %x, exit %d, parent %x\n", in_child, WEXITSTATUS(status), translate());
    fflush(stdout);
    if (!(child = vfork())) {
        char *none[] = {0};
        execve(argv[1], argv + 1, none);
        _exit(9);
    }
    waitpid(child, &status, 0);
    printf("exec %d, parent %x\n", WEXITSTATUS(status), translate());
    return 0;
}
