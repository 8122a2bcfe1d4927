/* cancel_inside COUNT: COUNT threads are cancelled asynchronously, at any moment of their translated calls.
 * Prints how often each kind of cleanup ran (built with -fexceptions: it runs when its frame is unwound, which
 * now and then a cancellation between two calls misses). */
#include "translate.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static volatile int calls;
/* libc's declaration says that it cannot throw, and then no frame would be unwound. */
static long (*volatile call)(long, ...) = syscall;
static int pushed, attributed, joined;

static void cleanup(void *unused) { pushed++; }

static void leave(int *unused) { attributed++; }

__attribute__((noinline)) static void work(void)
{
    __attribute__((cleanup(leave))) int guard = 0;
    struct { long words[8]; } fs;
    int name[] = {1, 2};
    char text[64];
    size_t length = sizeof text;
    void *args[10] = {name, (void *)2, text, &length, 0, 0};
    for (;;) {
        call(NR_ustat, 0xfff00fffu, &fs);
        call(NR_sysctl, args);
        calls++;
    }
    (void)guard;
}

static void *thread(void *unused)
{
    int old;
    pthread_cleanup_push(cleanup, 0);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    work();
    pthread_cleanup_pop(0);
    return 0;
}

int main(int argc, char **argv)
{
    int count = atoi(argv[1]);
    for (int i = 0; i < count; i++) {
        pthread_t id;
        void *end = 0;
        int seen = calls;
        if (pthread_create(&id, 0, thread, 0))
            return 1;
        while (calls - seen < 1 + i % 3)
            sched_yield();
        pthread_cancel(id);
        pthread_join(id, &end);
        joined += end == PTHREAD_CANCELED;
    }
    printf("joined %d, pushed %d, attributed %d\n", joined, pushed, attributed);
    return 0;
}
