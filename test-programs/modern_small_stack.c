/* modern_small_stack: one call by each rule of the younger calls of processes, limits, memory and clocks, on a thread's
 * stack of 16 KiB, guard page included. Prints `done`; a stack that is too small ends in SIGSEGV. */
#define _GNU_SOURCE
#include "small_stack.h"
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t clone_arguments[512], limit[2], places[4];
static uint32_t attributes[1024] = {4096};
static struct timex clock_state;

static void *calls(void *unused)
{
    static int pidfd, id;
    /* The longest way: both a pidfd and the id are stored, and the struct is a page long. */
    clone_arguments[0] = 0x1000 | 0x100000;
    clone_arguments[1] = (uint64_t)&pidfd;
    clone_arguments[3] = (uint64_t)&id;
    clone_arguments[4] = 17;
    long child = syscall(435, clone_arguments, sizeof clone_arguments);
    if (child == 0)
        _exit(0);
    waitpid((pid_t)child, NULL, 0);
    syscall(302, 0, 7, NULL, limit);
    syscall(302, 0, 7, limit, limit);
    syscall(305, 0, &clock_state);
    syscall(309, places, places + 1, NULL);
    syscall(313, -1, NULL, 0);
    syscall(314, 0, attributes, 0);
    syscall(315, 0, attributes, sizeof attributes, 0);
    syscall(284, 1);
    syscall(325, places, 1, 0);
    syscall(329, NULL, 0, 0, -1);
    syscall(333, 0, 0, 0, NULL, places, places);
    /* Last, since a filter in force would end the log: one that is none is told before, too. */
    syscall(317, 1, 0, NULL);
    return NULL;
}

int main(void)
{
    if (on_small_stack(calls))
        return 1;
    puts("done");
    return 0;
}
