/* on_small_stack thread|signal calls|exec|execat VARIABLES: translated calls, or an exec of itself for such calls
 * with an environment of VARIABLES variables and nothing of ours, on a stack of
 * 16 KiB with its guard page. Prints the wrong answers; a stack that is too small ends in SIGSEGV. */
#include "translate.h"
#include "small_stack.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static char **arguments, **environment;
static volatile unsigned wrong = -1;

static void work(void)
{
    if (arguments[2][0] == 'e') {
        char *again[] = {arguments[0], arguments[1], "calls", "0", 0};
        /* `execat`: by execveat, a path from a folder on. */
        if (!strcmp(arguments[2], "execat"))
            syscall(322, open("/", O_PATH), arguments[0] + 1, again, environment, 0);
        execve(arguments[0], again, environment);
        return;
    }
    wrong = translate();
    /* The longest list and the longest answer of them all. */
    wrong |= (syscall(NR_get_kernel_syms, 0) <= 0) << 30;
}

static void *thread(void *unused)
{
    work();
    return 0;
}

static void handler(int signal) { work(); }

int main(int argc, char **argv)
{
    int count = atoi(argv[3]);
    arguments = argv;
    environment = calloc(count + 1, sizeof *environment);
    for (int i = 0; i < count; i++)
        if (asprintf(&environment[i], "VARIABLE_%d=value", i) < 0)
            return 1;
    if (!strcmp(argv[1], "thread")) {
        if (on_small_stack(thread))
            return 1;
    } else {
        stack_t alternative = {.ss_sp = small_stack(), .ss_size = STACK};
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_NODEFER};
        if (sigaltstack(&alternative, 0) || sigaction(SIGUSR1, &action, 0))
            return 1;
        raise(SIGUSR1);
    }
    printf("wrong %x\n", wrong);
    return 0;
}
