/* results_small_stack: one call by each rule of calls that answer otherwise than they used to, on a thread's stack of
 * 16 KiB, guard page included. Prints `done`; a stack that is too small ends in SIGSEGV. */
#define _GNU_SOURCE
#include "small_stack.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static unsigned long mask[128], stack_of_signals[3];
static const struct timespec short_time = {0, 1000};
static struct timespec past = {1, 0};

static void *calls(void *unused)
{
    int pair[2];
    (void)unused;
    int in = open("/proc/self/cmdline", O_RDONLY), out = (int)syscall(319, "out", 1);
    int files[2] = {(int)syscall(319, "file", 1), open("/proc/self/comm", O_WRONLY)};
    if (pipe(pair) || ftruncate(files[0], 16 * PAGE))
        return NULL;
    syscall(40, out, in, NULL, 10);
    syscall(40, pair[1], in, NULL, 5);
    syscall(275, in, NULL, pair[1], NULL, 5, 0);
    syscall(275, pair[0], NULL, files[1], NULL, 5, 0);
    syscall(326, in, NULL, out, NULL, 10, 0);
    syscall(204, 0, sizeof mask, mask);
    syscall(131, stack_of_signals, NULL);
    syscall(230, 0, 0, &short_time, NULL);
    syscall(230, 0, TIMER_ABSTIME, &past, NULL);
    syscall(135, 0xffffffff);
    char *window = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, files[0], 4 * PAGE);
    syscall(216, window, 2 * PAGE, 0, 6, 0);
    syscall(216, window + 2 * PAGE, 2 * PAGE, 0, 0, 0);
    syscall(239, NULL, NULL, 0, NULL, 0);
    syscall(250, 0, -3, 0, 0, 0);
    return NULL;
}

int main(void)
{
    stack_of_signals[0] = (unsigned long)mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_of_signals[2] = 8192;
    if (on_small_stack(calls))
        return 1;
    puts("done");
    return 0;
}
