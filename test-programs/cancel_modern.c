/* cancel_modern CALL: cancels a thread that blocks in libc's function of this name, a cancellation point. */
#define _GNU_SOURCE
#include "in_call.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char *call;
static volatile int id_of_thread;

static void cleanup(void *what) { printf("cleanup %s\n", (const char *)what); }

static long block(void)
{
    int pair[2], server = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char byte;
    struct iovec part = {&byte, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    bind(server, (struct sockaddr *)&name, sizeof(sa_family_t));
    listen(server, 1);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    if (!strcmp(call, "accept4")) return accept4(server, NULL, NULL, SOCK_CLOEXEC);
    if (!strcmp(call, "recvmmsg")) return recvmmsg(pair[0], &message, 1, 0, NULL);
    if (!strcmp(call, "preadv2")) return preadv2(pair[0], &part, 1, -1, 0);
    if (!strcmp(call, "epoll_pwait")) {
        struct epoll_event event;
        return epoll_pwait(epoll_create1(0), &event, 1, -1, NULL);
    }
    if (!strcmp(call, "nanosleep")) return nanosleep(&(struct timespec){100, 0}, NULL);
    if (!strcmp(call, "clock_nanosleep")) return clock_nanosleep(CLOCK_REALTIME, 0, &(struct timespec){100, 0}, NULL);
    if (!strcmp(call, "sleep")) return sleep(100);
    if (!strcmp(call, "usleep")) return usleep(900000000);
    if (!strcmp(call, "splice")) {
        int pipes[2][2];
        return pipe(pipes[0]) || pipe(pipes[1]) ? -1 : splice(pipes[0][0], NULL, pipes[1][1], NULL, 1, 0);
    }
    if (!strcmp(call, "poll")) return poll(&(struct pollfd){pair[0], POLLIN, 0}, 1, -1);
    if (!strcmp(call, "select")) return select(0, NULL, NULL, NULL, NULL);
    exit(2);
}

static void *thread(void *unused)
{
    id_of_thread = (int)syscall(SYS_gettid);
    pthread_cleanup_push(cleanup, "outer");
    printf("returned %ld\n", block());
    pthread_cleanup_pop(0);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t id;
    void *end;
    call = argv[1];
    alarm(10);
    pthread_create(&id, NULL, thread, NULL);
    while (in_call(id_of_thread) < 0)
        sched_yield();
    pthread_cancel(id);
    pthread_join(id, &end);
    puts(end == PTHREAD_CANCELED ? "cancelled" : "ended");
    return 0;
}
