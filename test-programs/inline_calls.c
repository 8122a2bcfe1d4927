/* inline_calls [PROGRAM...]: calls by the bare instruction, past every symbol, before and after the program sets
 * a handler of its own for SIGSYS (not raised with NO_RAISE); then executes the program, if any. Prints what came
 * of them. With SMALL_STACK it has an alternate stack of 8 KiB. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NR_ustat = 136, NR_sysfs = 139, NR_epoll_create = 213 };

static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static volatile sig_atomic_t own;
static void handler(int signal) { own++; }

static void calls(const char *when)
{
    int descriptor = call(NR_epoll_create, 1, 0, 0);
    printf("%s: ustat %ld, sysfs %d, epoll_create %d\n", when, call(NR_ustat, -1, 0, 0),
           call(NR_sysfs, 3, 0, 0) > 2, descriptor > 2);
    if (descriptor > 2)
        close(descriptor);
}

/* An alternate stack of 8 KiB as many programs have it, here behind a page that cannot be touched. */
static void small_stack(void)
{
    char *stack = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t alternate = {.ss_sp = stack + 4096, .ss_size = 2 * 4096};
    mprotect(stack, 4096, PROT_NONE);
    sigaltstack(&alternate, 0);
}

int main(int argc, char **argv)
{
    if (getenv("SMALL_STACK"))
        small_stack();
    calls("first");
    struct sigaction action = {.sa_handler = handler}, got;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, 0);
    sigaction(SIGSYS, &action, 0);
    calls("blocked");
    sigaction(SIGSYS, 0, &got);
    printf("own handler: %s\n", got.sa_handler == handler ? "kept" : "another");
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, 0);
    if (!getenv("NO_RAISE"))
        raise(SIGSYS);
    printf("own ran: %d\n", own);
    calls("after");
    fflush(stdout);
    if (argc > 1) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        return 127;
    }
    return 0;
}
