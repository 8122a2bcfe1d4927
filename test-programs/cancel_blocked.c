/* cancel_blocked CALL deferred|async: cancels a thread that blocks in syscall(CALL), or is about to spawn.
 * Prints what became of it. */
#define _GNU_SOURCE
#include "in_call.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int fds[2], asynchronous;
static volatile int number = -2, tid, spawning;
static const char *call;
extern char **environ;

static void cleanup(void *what) { printf("cleanup %s\n", (const char *)what); }

static long block(void)
{
    char byte;
    static int word;
    struct pollfd poll = {fds[0], POLLIN, 0};
    struct epoll_event event = {.events = EPOLLIN};
    if (!strcmp(call, "poll")) return syscall(number = SYS_poll, &poll, 1, -1);
    if (!strcmp(call, "read")) return syscall(number = SYS_read, fds[0], &byte, 1);
    if (!strcmp(call, "recvfrom")) return syscall(number = SYS_recvfrom, fds[0], &byte, 1, 0, 0, 0);
    if (!strcmp(call, "futex")) return syscall(number = SYS_futex, &word, 0, 0, 0, 0, 0);
    if (!strcmp(call, "pause")) return syscall(number = SYS_pause);
    if (!strcmp(call, "epoll_wait")) {
        int epoll = syscall(SYS_epoll_create, 1);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event);
        return syscall(number = SYS_epoll_wait, epoll, &event, 1, -1);
    }
    /* libc's own cancellation points, which are not ours: as a measure. */
    if (!strcmp(call, "libc-read")) { number = SYS_read; return read(fds[0], &byte, 1); }
    if (!strcmp(call, "libc-poll")) { number = SYS_poll; return ppoll(&poll, 1, 0, 0); }
    /* A pipe that nobody reads. */
    char name[64];
    snprintf(name, sizeof name, "/tmp/cancel_blocked.%d", getpid());
    mkfifo(name, 0600);
    number = SYS_openat;
    if (!strcmp(call, "libc-open")) return open(name, O_WRONLY);
    if (!strcmp(call, "libc-openat")) return openat(AT_FDCWD, name, O_WRONLY);
    if (!strcmp(call, "libc-creat")) { number = SYS_creat; return creat(name, 0600); }
    exit(2);
}

static long spawn(void)
{
    char *arguments[] = {"true", 0};
    pid_t child;
    int status;
    number = -1;
    while (!spawning)
        ;
    int error = call[11] ? posix_spawnp(&child, "true", 0, 0, arguments, environ)
                         : posix_spawn(&child, "/bin/true", 0, 0, arguments, environ);
    /* A process's wait is a cancellation point; the system call is none. */
    while (syscall(SYS_wait4, child, &status, 0, 0) < 0)
        ;
    return error * 1000 + status;
}

static void *thread(void *unused)
{
    int old;
    tid = syscall(SYS_gettid);
    pthread_setcanceltype(asynchronous ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED, &old);
    pthread_cleanup_push(cleanup, "outer");
    pthread_cleanup_push(cleanup, "inner");
    /* A blocking call ends by the data or by the signal, whichever comes first. */
    if (strncmp(call, "posix_spawn", 11))
        block(), puts("woken");
    else
        printf("returned %ld\n", spawn());
    pthread_testcancel();
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    puts("was not cancelled");
    return 0;
}

/* Whether the thread sleeps in the call: the kernel says so. */
static int blocked(void)
{
    if (number == -1)
        return 1;
    if (number == -2)
        return 0;
    long in = in_call(tid);
    /* A rule may have turned it into its modern form. */
    return in == number || (number == SYS_poll && in == SYS_ppoll) || (number == SYS_pause && in == SYS_ppoll) ||
           (number == SYS_epoll_wait && in == SYS_epoll_pwait);
}

static void nothing(int signal) {}

int main(int argc, char **argv)
{
    pthread_t id;
    void *end;
    call = argv[1];
    asynchronous = !strcmp(argv[2], "async");
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGUSR1, &action, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    pthread_create(&id, 0, thread, 0);
    while (!blocked())
        sched_yield();
    pthread_cancel(id);
    spawning = 1;
    /* A call that is no cancellation point goes on blocking: data or a signal ends it then. */
    if (!asynchronous && strncmp(call, "libc", 4)) {
        if (write(fds[1], "x", 1) != 1)
            return 1;
        while (pthread_tryjoin_np(id, &end) == EBUSY) {
            pthread_kill(id, SIGUSR1);
            sched_yield();
        }
    } else {
        pthread_join(id, &end);
    }
    char name[64];
    snprintf(name, sizeof name, "/tmp/cancel_blocked.%d", getpid());
    unlink(name);
    puts(end == PTHREAD_CANCELED ? "cancelled" : "ended");
    return 0;
}
