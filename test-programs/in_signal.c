/* in_signal COUNT: a timer's handler makes translated calls while the program is in malloc and free, COUNT
 * times in there. Prints the answers that were wrong, and the errno the program saw changed. */
#include "translate.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile sig_atomic_t in_malloc;
static volatile long interrupted, handled;
static volatile unsigned wrong, errno_changed;
static timer_t timer;

/* One shot at a time, so that the program gets on between two. */
static void arm(void)
{
    static unsigned random = 1;
    random = random * 1103515245 + 12345;
    struct itimerspec soon = {.it_value.tv_nsec = 1000 + random / 65536 % 16384};
    timer_settime(timer, 0, &soon, 0);
}

static void handler(int signal)
{
    int before = errno;
    interrupted += in_malloc;
    handled++;
    wrong |= translate();
    errno = 77;
    close(syscall(NR_epoll_create, 1));
    errno_changed |= errno != 77;
    errno = before;
    arm();
}

int main(int argc, char **argv)
{
    long count = atol(argv[1]);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, 0);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    arm();
    char *blocks[64] = {0};
    for (unsigned i = 0; interrupted < count; i++) {
        in_malloc = 1;
        free(blocks[i % 64]);
        blocks[i % 64] = malloc(1 + i * 7919 % 200000);
        in_malloc = 0;
        blocks[i % 64][0] = 1;
    }
    timer_delete(timer);
    printf("wrong %x, errno changed %u\n", wrong, errno_changed);
    fprintf(stderr, "%ld handlers\n", handled);
    return 0;
}
