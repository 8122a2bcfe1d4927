/* superseded_waits syscall|symbol|ask: old calls that wait, tell the time or make a child; see modern.h.
 * Descriptors for them: 110 can be read, 111 cannot, 112 can be written to, 113 is closed.
 * eintr=plain or eintr=restart: another thread sends a signal, whose handler is installed so, when the kernel says
 * that the first one sleeps in the call. */
#define OLD_CALLS_ARE_CHECKED
#include "modern.h"
#include "in_call.h"
#include <poll.h>
#include <pthread.h>
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

enum { READY = 110, QUIET = 111, WRITABLE = 112 };

static void descriptors(void)
{
    int ends[2];
    if (pipe(ends) || write(ends[1], "ready", 5) != 5)
        exit(2);
    dup2(ends[0], READY);
    close(ends[0]);
    close(ends[1]);
    if (pipe(ends))
        exit(2);
    dup2(ends[0], QUIET);
    dup2(ends[1], WRITABLE);
    close(ends[0]);
    close(ends[1]);
}

static void closed(void)
{
    close(READY);
    close(QUIET);
    close(WRITABLE);
}

static volatile int handled, over;
static int interrupted;
static void on_signal(int signal) { handled++; }

static void *interrupt(void *unused)
{
    int thread = getpid();
    while (!over) {
        long call = in_call(thread);
        // The old calls, and the modern ones that they may have become.
        if (call == SYS_select || call == SYS_poll || call == SYS_epoll_wait || call == SYS_pause ||
            call == SYS_pselect6 || call == SYS_ppoll || call == SYS_epoll_pwait) {
            syscall(SYS_tgkill, thread, thread, SIGUSR1);
            return NULL;
        }
        sched_yield();
    }
    return NULL;
}

static long long now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

/* A call, interrupted if the line says so. One that waited in vain for less than its nanoseconds is told. */
static long waited(long call_number, const char *name, const long *a, long long nanoseconds)
{
    pthread_t thread;
    interrupted = value("eintr", NULL) != NULL;
    if (interrupted) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = is("eintr", "restart") ? SA_RESTART : 0};
        sigaction(SIGUSR1, &action, NULL);
        handled = over = 0;
        if (pthread_create(&thread, NULL, interrupt, NULL))
            exit(2);
    }
    long long start = now();
    long result = made(call_number, name, INT, a);
    int error = errno;
    if (result == 0 && now() - start < nanoseconds)
        printf(" too early");
    over = 1;
    if (interrupted)
        pthread_join(thread, NULL);
    errno = error;
    outcome(result);
    if (interrupted)
        printf(", %d handled", handled);
    return result;
}

/* A set of descriptors: numbers, or a place, or nothing. */
static fd_set *set_of(const char *key)
{
    const char *text = value(key, "null");
    if (*text < '0' || *text > '9')
        return place(text, sizeof(fd_set));
    fd_set *set = (fd_set *)edge(sizeof *set);
    FD_ZERO(set);
    for (char *end; *text; text = *end ? end + 1 : end)
        FD_SET(strtol(text, &end, 0), set);
    return set;
}

static void show_set(const char *key, const fd_set *set)
{
    const char *text = value(key, "null");
    if (*text < '0' || *text > '9')
        return;
    printf(" %s", key);
    for (int fd = 0; fd < FD_SETSIZE; fd++)
        if (FD_ISSET(fd, set))
            printf(" %d", fd);
}

/* select count= read= write= except= sec= usec= time= sticky= eintr= */
static void make_select(void)
{
    if (libc_reads("time"))
        return;
    descriptors();
    fd_set *sets[3] = {set_of("read"), set_of("write"), set_of("except")};
    struct timeval *time = place(value("time", value("sec", NULL) || value("usec", NULL) ? "buf" : "null"), sizeof *time), given = {0, 0};
    int timed = (long)time > 0 && (is("time", "") || is("time", "ro"));
    if (is("time", "ro"))
        mprotect(maps[map_count - 1].at, maps[map_count - 1].length - PAGE, PROT_READ | PROT_WRITE);
    if (timed) {
        time->tv_sec = number("sec", 0);
        time->tv_usec = number("usec", 0);
        given = *time;
    }
    if (is("time", "ro"))
        mprotect(maps[map_count - 1].at, maps[map_count - 1].length - PAGE, PROT_READ);
    if (is("sticky", "yes"))
        personality(STICKY_TIMEOUTS);
    long a[6] = {number("count", 128), (long)sets[0], (long)sets[1], (long)sets[2], (long)time};
    long result = waited(SYS_select, "select", a, timed && given.tv_sec == 0 ? given.tv_usec * 1000LL : 0);
    personality(0);
    show_set("read", sets[0]);
    show_set("write", sets[1]);
    show_set("except", sets[2]);
    if (timed) {
        // As it was, nothing, or some of it.
        __int128 was = (__int128)given.tv_sec * 1000000 + given.tv_usec, left = (__int128)time->tv_sec * 1000000 + time->tv_usec;
        int same = given.tv_sec == time->tv_sec && given.tv_usec == time->tv_usec;
        int some = left > was - 50000000 && left <= was && time->tv_usec >= 0 && time->tv_usec < 1000000;
        // A short one may have run out or not, but where it was waited for.
        int over_soon = was < 50000 && result != 0 && some;
        printf(", time %s", same ? "kept" : over_soon ? "short" : !left ? "none" : some ? "less" : "another");
    }
    closed();
}

/* poll list=FD:EVENTS,... count= timeout= at= eintr= chk=BYTES of the list, as fortified programs tell */
static void make_poll(void)
{
    descriptors();
    const char *text = value("list", "111:1");
    int count = 0;
    struct pollfd list[16], *at;
    for (char *end; *text && count < 16; text = *end == ',' ? end + 1 : end, count++) {
        list[count].fd = (int)strtol(text, &end, 0);
        list[count].events = *end == ':' ? (short)strtol(end + 1, &end, 0) : 0;
        list[count].revents = 0x5555;
    }
    int shown = is("at", "") || !strncmp(value("at", ""), "edge", 4);
    at = place(value("at", "buf"), count * sizeof *at);
    size_t room = value("at", NULL) ? strtoul(value("at", "edge:0") + 5, NULL, 0) : count * sizeof *at;
    if (shown)
        memcpy(at, list, room < count * sizeof *at ? room : count * sizeof *at);
    long a[6] = {(long)at, number("count", count), number("timeout", 0), number("chk", 0)};
    waited(SYS_poll, value("chk", NULL) ? "__poll_chk" : "poll", a, (int)a[2] * 1000000LL);
    if (shown && room >= count * sizeof *at)
        for (int i = 0; i < count; i++)
            printf(" %d:%x:%x", at[i].fd, at[i].events, at[i].revents);
    closed();
}

/* epoll_wait queue= watch=FD,... most= timeout= events= eintr= */
static void make_epoll_wait(void)
{
    descriptors();
    int queue = epoll_create1(EPOLL_CLOEXEC), fd = is("queue", "closed") ? 999 : is("queue", "pipe") ? QUIET : queue;
    const char *text = value("watch", "111");
    for (char *end; *text; text = *end ? end + 1 : end) {
        int watched = (int)strtol(text, &end, 0);
        struct epoll_event event = {EPOLLIN | EPOLLOUT, {.u64 = 0x1122334455660000u + watched}};
        epoll_ctl(queue, EPOLL_CTL_ADD, watched, &event);
    }
    long most = number("most", 4);
    unsigned char *events = place(value("events", "buf"), sizeof(struct epoll_event) * 8);
    long a[6] = {fd, (long)events, most, number("timeout", 0)};
    waited(SYS_epoll_wait, NULL, a, (int)a[3] * 1000000LL);
    if (is("events", ""))
        printf(" events %08x", hash(2166136261u, events, sizeof(struct epoll_event) * 8));
    close(queue);
    closed();
}

/* pause eintr= */
static void make_pause(void)
{
    long a[6] = {0};
    if (value("eintr", NULL))
        waited(SYS_pause, NULL, a, 0);
}

/* alarm seconds= left=SECONDS.MILLISECONDS of the one before: shown are its rest and what is set now, rounded. */
static void make_alarm(void)
{
    const char *text = value("left", "0.0");
    struct itimerval before = {{0, 0}, {strtol(text, NULL, 10), 1000 * strtol(strchr(text, '.') + 1, NULL, 10)}}, after;
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &before, NULL);
    long a[6] = {number("seconds", 0)};
    outcome(made(SYS_alarm, NULL, INT, a));
    getitimer(ITIMER_REAL, &after);
    long long micros = after.it_value.tv_sec * 1000000LL + after.it_value.tv_usec;
    printf(" then %lld again %ld", (micros + 900000) / 1000000, (long)after.it_interval.tv_sec);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {60, 0}}, NULL);
    signal(SIGALRM, SIG_DFL);
}

/* time to= */
static void make_time(void)
{
    struct timespec before, after;
    long *to = place(value("to", "null"), sizeof *to);
    long a[6] = {(long)to};
    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    long result = made(SYS_time, NULL, LONG, a);
    int error = errno;
    clock_gettime(CLOCK_REALTIME_COARSE, &after);
    if (result < 0) {
        errno = error;
        outcome(result);
    } else {
        printf(" %s, errno %d", result >= before.tv_sec && result <= after.tv_sec ? "now" : "another time", error);
        if (is("to", "buf"))
            printf(", %s", *to == result ? "told" : "not told");
    }
}

/* How a child is seen from here: its status, and whether it came before us. `waits`: nothing else is certain. */
static void child(long made_by, int writer, int reader, int shared, int waits)
{
    if (made_by == 0) {
        if (write(writer, "c", 1) != 1)
            _exit(1);
        _exit(7);
    }
    int status = 0, error = errno;
    if (made_by < 0) {
        errno = error;
        outcome(made_by);
        return;
    }
    struct pollfd ready = {reader, POLLIN, 0};
    int came = ppoll(&ready, 1, &(struct timespec){0, 0}, NULL);
    pid_t got = waitpid((pid_t)made_by, &status, 0);
    printf(" child %s, status %x, errno %d", got == made_by ? "waited for" : "lost", status, error);
    if (waits)
        printf(", %s", came == 1 ? "came first" : "came second");
}

static void make_fork(void)
{
    int ends[2];
    long a[6] = {0};
    if (pipe(ends))
        exit(2);
    fflush(stdout);
    child(made(SYS_fork, NULL, INT, a), ends[1], ends[0], 0, 0);
    close(ends[0]);
    close(ends[1]);
}

/* By number only where a rule carries it out: natively the child would return on this stack. */
static void make_vfork(void)
{
    int ends[2];
    long a[6] = {0};
    if (pipe(ends))
        exit(2);
    fflush(stdout);
    if (!strcmp(door, "syscall")) {
        child(made(SYS_vfork, NULL, INT, a), ends[1], ends[0], 0, 1);
    } else {
        errno = UNTOUCHED;
        child(vfork(), ends[1], ends[0], 1, 1);
    }
    close(ends[0]);
    close(ends[1]);
}

const struct call calls[] = {
    {"select", make_select}, {"poll", make_poll}, {"epoll_wait", make_epoll_wait}, {"pause", make_pause},
    {"alarm", make_alarm}, {"time", make_time}, {"fork", make_fork}, {"vfork", make_vfork}, {NULL, NULL},
};

const char *const checks[] = {
    "select read=110,111 write=111,112", "select read=110 sec=5", "select read=111 usec=1000", "select read=111 sec=0 usec=0",
    "select read=113 sec=9", "select count=-1", "select count=0 usec=500", "select read=110 sec=-1", "select read=110 usec=-1",
    "select read=110 usec=2500000", "select time=bad", "select read=110 sec=3 time=ro", "select read=bad", "select read=edge:8",
    "select read=110 sec=7 sticky=yes", "select read=111 sec=30 eintr=plain", "select read=111 sec=30 eintr=restart",
    "select read=110 sec=9223372036854775807", "select read=111 eintr=plain", "select read=112 except=110 write=110 sec=1",
    "poll list=110:1,111:1,112:4,113:1,-1:7", "poll", "poll timeout=1", "poll count=0 timeout=1", "poll at=bad count=1", "poll at=edge:4",
    "poll count=-1", "poll timeout=12 chk=8", "poll list=110:1 chk=16", "poll timeout=30000 eintr=plain", "poll timeout=-1 eintr=restart", "poll at=null count=0",
    "epoll_wait watch=110,112", "epoll_wait", "epoll_wait timeout=1", "epoll_wait most=0", "epoll_wait most=-1", "epoll_wait queue=closed",
    "epoll_wait queue=pipe", "epoll_wait events=bad watch=110", "epoll_wait timeout=30000 eintr=plain",
    "epoll_wait timeout=-1 eintr=restart", "epoll_wait watch=110,111,112 most=1",
    "pause eintr=plain", "pause eintr=restart",
    "alarm seconds=5", "alarm seconds=0 left=3.900", "alarm seconds=2 left=3.200", "alarm left=0.200", "alarm seconds=-1", "alarm left=0.900",
    "time", "time to=buf", "time to=bad", "time to=edge:7",
    "fork", NULL,
};
