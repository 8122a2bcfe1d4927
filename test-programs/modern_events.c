/* modern_events syscall|symbol|ask: descriptors with flags, closing many, event queues, many messages,
 * futexes; see modern.h. */
#include "modern.h"
#include "in_call.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* A fresh descriptor's flags; it is closed. */
static void show(long fd)
{
    if (fd < 0)
        return;
    printf(" fd %d fl %o", fcntl((int)fd, F_GETFD), fcntl((int)fd, F_GETFL));
    close((int)fd);
}

static volatile int handled;
static void count_signal(int signal) { handled++; }

enum { WINDOW = 100, WIDTH = 24 };

static void window(char *to)
{
    for (int i = 0; i < WIDTH; i++) {
        int flags = fcntl(WINDOW + i, F_GETFD);
        to[i] = flags < 0 ? '.' : flags & FD_CLOEXEC ? 'c' : 'o';
    }
    to[WIDTH] = 0;
}

/* close_range first= last= flags= open= (bits) full=, or from= as closefrom: in a child that shares the table of
 * descriptors; what it sees and what its parent sees. */
static void close_many(int from)
{
    char *seen = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), own[WIDTH + 1];
    long open_ones = number("open", 0x5af3b7), low = from ? number("from", 0) : number("first", WINDOW + 3);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < WIDTH; i++)
        if (open_ones >> i & 1)
            fcntl(dup2(null, WINDOW + i), F_SETFD, i % 5 == 4 ? FD_CLOEXEC : 0);
    fflush(stdout);
    long pid = syscall(SYS_clone, (is("share", "no") ? 0 : CLONE_FILES) | SIGCHLD, 0, 0, 0, 0);
    if (!pid) {
        if (value("full", NULL)) {
            struct rlimit limit = {WINDOW + WIDTH, WINDOW + WIDTH};
            setrlimit(RLIMIT_NOFILE, &limit);
            while (dup(null) >= 0)
                ;
        }
        long a[6] = {low, number("last", WINDOW + 9), number("flags", 0)};
        errno = UNTOUCHED;
        long result = 0;
        if (from && !strcmp(door, "symbol")) {
            void (*function)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "closefrom");
            function((int)low);
            // It tells nothing, so what it leaves in errno is its own affair.
            errno = UNTOUCHED;
        } else {
            if (from)
                a[1] = ~0u, a[2] = 0, a[0] = low < 0 ? 0 : low;
            result = made(436, from ? NULL : "close_range", INT, a);
        }
        int error = errno;
        window(seen);
        snprintf(seen + WIDTH, 100, " %ld errno %d, standard output %s", result, error, fcntl(1, F_GETFD) < 0 ? "closed" : "open");
        _exit(0);
    }
    waitpid((pid_t)pid, NULL, 0);
    if (!value("full", NULL)) {
        window(own);
        printf(" %s, parent %s", seen, own);
    } else {
        printf(" %s", seen);
    }
    for (int fd = 3; fd < WINDOW + WIDTH; fd++)
        close(fd);
    munmap(seen, PAGE);
}

static void make_close_range(void) { close_many(value("from", NULL) != NULL); }

/* accept4 sock= client= addr= length= flags= */
static void make_accept4(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int client = -1, server = -1, pair[2];
    if (is("sock", "closed")) {
        server = 999;
    } else if (is("sock", "file") || is("sock", "path")) {
        server = open("/dev/null", is("sock", "path") ? O_PATH : O_RDWR);
    } else if (is("sock", "datagrams")) {
        socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
        server = pair[0];
        client = pair[1];
    } else {
        server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        bind(server, (struct sockaddr *)&name, sizeof(sa_family_t));
        socklen_t length = sizeof name;
        getsockname(server, (struct sockaddr *)&name, &length);
        if (!is("sock", "unheard"))
            listen(server, 5);
        if (!is("client", "no")) {
            client = socket(AF_UNIX, SOCK_STREAM, 0);
            connect(client, (struct sockaddr *)&name, length);
        }
    }
    int *length = place(value("length", "buf"), sizeof *length);
    if (is("length", "") || is("room", "none"))
        *length = is("room", "none") ? 1 : 64;
    unsigned char *address = place(value("addr", "buf"), 64);
    long a[6] = {server, (long)address, (long)length, number("flags", 0)};
    long result = made(288, "accept4", INT, a);
    outcome(result);
    if (result >= 0 && is("addr", ""))
        printf(" length %d address %08x", *length, hash(1, address, 64));
    show(result);
    close(client);
    if (server != 999)
        close(server);
}

/* dup3 old= new= flags= */
static void make_dup3(void)
{
    long a[6] = {number("old", 0), number("new", 150), number("flags", 0)};
    long result = made(292, "dup3", INT, a);
    outcome(result);
    if (result > 2)
        show(result);
}

/* pipe2 flags= fds= limit= */
static void make_pipe2(void)
{
    int *fds = place(value("fds", "buf"), 8);
    struct rlimit old, limit;
    getrlimit(RLIMIT_NOFILE, &old);
    limit = old;
    if (value("limit", NULL))
        limit.rlim_cur = number("limit", 0);
    setrlimit(RLIMIT_NOFILE, &limit);
    long a[6] = {(long)fds, number("flags", 0)};
    long result = made(293, "pipe2", INT, a);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &old);
    errno = error;
    outcome(result);
    if (result)
        return;
    char text[8];
    printf(" %s", write(fds[1], "hello", 5) == 5 && read(fds[0], text, 8) == 5 ? "carries" : "carries nothing");
    show(fds[0]);
    show(fds[1]);
}

/* eventfd2 count= flags= */
static void make_eventfd2(void)
{
    uint64_t count = 0;
    long a[6] = {number("count", 7), number("flags", 0)};
    long result = made(290, "eventfd", INT, a);
    outcome(result);
    if (result < 0)
        return;
    fcntl((int)result, F_SETFL, fcntl((int)result, F_GETFL) | (a[0] ? 0 : O_NONBLOCK));
    ssize_t got = read((int)result, &count, 8);
    printf(" read %zd %llu", got, (unsigned long long)count);
    show(result);
}

static void only_flags(long call_number, const char *name)
{
    long a[6] = {number("flags", 0)};
    long result = made(call_number, name, INT, a);
    outcome(result);
    show(result);
}

static void make_inotify_init1(void) { only_flags(294, "inotify_init1"); }
static void make_epoll_create1(void) { only_flags(291, "epoll_create1"); }

/* signalfd4 fd= (or old) mask= size= flags= */
static void make_signalfd4(void)
{
    uint64_t *mask = place(value("mask", "buf"), 8), usr1 = 1 << (SIGUSR1 - 1), both = usr1 | 1 << (SIGUSR2 - 1);
    if (is("mask", ""))
        *mask = both;
    int old = (int)syscall(289, -1, &usr1, 8, 0);
    long a[6] = {is("fd", "old") ? old : number("fd", -1), (long)mask, number("size", 8), number("flags", 0)};
    long result = made(289, NULL, INT, a);
    outcome(result);
    if (result >= 0) {
        sigset_t blocked, before;
        unsigned char info[128];
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR2);
        sigprocmask(SIG_BLOCK, &blocked, &before);
        signal(SIGUSR2, count_signal);
        kill(getpid(), SIGUSR2);
        // A mask of any bits may not hold the signal.
        int flags = fcntl((int)result, F_GETFL);
        fcntl((int)result, F_SETFL, flags | O_NONBLOCK);
        memset(info, 0, sizeof info);
        ssize_t got = read((int)result, info, sizeof info);
        printf(" read %zd signal %d", got, *(int *)info);
        fcntl((int)result, F_SETFL, flags);
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (result == old)
            printf(" fd %d fl %o", fcntl(old, F_GETFD), fcntl(old, F_GETFL));
        else
            show(result);
    }
    close(old);
}

/* epoll_pwait timeout= mask= size= most= events= ready= pending= edge=, epoll_pwait2 sec= nsec= time= too */
static void wait_events(long call_number, int precise)
{
    int queue = epoll_create(1), pipes[3][2], ready = (int)number("ready", 1);
    for (int i = 0; i < 3; i++) {
        if (pipe(pipes[i]))
            exit(2);
        struct epoll_event event = {EPOLLIN | (is("edge", "yes") ? EPOLLET : 0), {.u64 = 0x1234567800000000 + i}};
        epoll_ctl(queue, EPOLL_CTL_ADD, pipes[i][0], &event);
        if (i < ready && write(pipes[i][1], "x", 1) != 1)
            exit(2);
    }
    sigset_t usr1, before, after;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &before);
    signal(SIGUSR1, count_signal);
    handled = 0;
    if (number("pending", 0))
        kill(getpid(), SIGUSR1);
    uint64_t *mask = place(value("mask", "null"), 8);
    if (is("mask", "buf"))
        *mask = 0;
    long most = number("most", 5);
    struct epoll_event *events = place(value("events", "buf"), sizeof *events * 5);
    struct timespec *time = place(value("time", "buf"), sizeof *time), begin, end;
    if (is("time", ""))
        *time = (struct timespec){number("sec", 0), number("nsec", 0)};
    int target = is("queue", "closed") ? 999 : is("queue", "pipe") ? pipes[0][0] : queue;
    long a[6] = {target, (long)events, most, precise ? (long)time : number("timeout", 0), (long)mask, number("size", 8)};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    long result = made(call_number, NULL, INT, a);
    int error = errno, during = handled;
    clock_gettime(CLOCK_MONOTONIC, &end);
    sigprocmask(SIG_SETMASK, NULL, &after);
    int kept = sigismember(&after, SIGUSR1);
    errno = error;
    outcome(result);
    long passed = (end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec;
    long asked = precise ? number("sec", 0) * 1000000000 + number("nsec", 0) : number("timeout", 0) * 1000000;
    if (result == 0)
        printf(" %s", asked > 0 && passed < asked ? "too early" : "in time");
    for (long i = 0; i < result; i++)
        printf(" %x:%llx", events[i].events, (unsigned long long)events[i].data.u64);
    printf(" handled %d mask %s", during, kept ? "kept" : "changed");
    // What edge-triggered events leave for a second wait.
    if (result >= 0)
        printf(" then %d", epoll_wait(queue, (struct epoll_event[5]){0}, 5, 0));
    sigprocmask(SIG_SETMASK, &before, NULL);
    for (int i = 0; i < 3; i++)
        close(pipes[i][0]), close(pipes[i][1]);
    close(queue);
}

static void make_epoll_pwait(void) { wait_events(281, 0); }
static void make_epoll_pwait2(void) { wait_events(441, 1); }

static int socket_kind(void)
{
    return is("type", "stream") ? SOCK_STREAM : is("type", "packets") ? SOCK_SEQPACKET : SOCK_DGRAM;
}

enum { MESSAGES = 8, PART = 40 };

/* A list of messages of two buffers each, at the edge; the last ones bad if the line says so. */
static struct mmsghdr *messages(unsigned char *bytes, int fill)
{
    struct mmsghdr *list = place(value("vec", "buf"), sizeof *list * MESSAGES);
    struct iovec *parts = (struct iovec *)edge(sizeof *parts * MESSAGES * 2);
    size_t size = number("size", 30);
    if (size > PART)
        size = PART;
    if (value("vec", NULL))
        return list;
    for (int i = 0; i < MESSAGES; i++) {
        unsigned char *at = bytes + i * PART;
        parts[2 * i] = (struct iovec){at, size / 3};
        parts[2 * i + 1] = (struct iovec){at + size / 3, size - size / 3};
        if (fill)
            pattern(at, PART, i * 31);
        if (number("bad", 99) == i)
            parts[2 * i].iov_base = (void *)0x12345000;
        memset(&list[i], 0, sizeof list[i]);
        list[i].msg_hdr.msg_iov = number("badlist", 99) == i ? (void *)0x12345000 : &parts[2 * i];
        list[i].msg_hdr.msg_iovlen = 2;
        list[i].msg_len = 77;
        list[i].msg_hdr.msg_flags = number("record", 0) ? MSG_EOR : 0;
    }
    return list;
}

static int message_sockets(int *pair)
{
    pair[0] = pair[1] = -1;
    if (is("sock", "closed")) return 999;
    if (is("sock", "file")) return open("/dev/null", O_RDWR);
    if (socketpair(AF_UNIX, socket_kind(), 0, pair))
        exit(2);
    return pair[0];
}

/* recvmmsg type= queued= count= size= flags= time= sec= nsec= vec= bad= */
static void make_recvmmsg(void)
{
    int pair[2], fd = message_sockets(pair);
    char sent[64];
    unsigned char *bytes = edge(MESSAGES * PART);
    for (int i = 0; i < number("queued", 3); i++) {
        memset(sent, 'a' + i, sizeof sent);
        if (pair[1] >= 0 && send(pair[1], sent, 10 + 5 * i, 0) < 0)
            exit(2);
    }
    if (is("peer", "gone"))
        close(pair[1]), pair[1] = -1;
    struct mmsghdr *list = messages(bytes, 0);
    struct timespec *time = place(value("time", value("sec", NULL) || value("nsec", NULL) ? "buf" : "null"), sizeof *time);
    if (value("sec", NULL) || value("nsec", NULL))
        *time = (struct timespec){number("sec", 0), number("nsec", 0)};
    long a[6] = {fd, (long)list, number("count", 3), number("flags", MSG_DONTWAIT), (long)time};
    long result = made(299, "recvmmsg", INT, a);
    outcome(result);
    if (!value("vec", NULL)) {
        printf(" lengths");
        for (int i = 0; i < MESSAGES; i++)
            printf(" %u:%x", list[i].msg_len, list[i].msg_hdr.msg_flags);
        printf(" bytes %08x", hash(1, bytes, MESSAGES * PART));
    }
    if (value("sec", NULL) || value("nsec", NULL)) {
        struct timespec was = {number("sec", 0), number("nsec", 0)};
        int same = time->tv_sec == was.tv_sec && time->tv_nsec == was.tv_nsec;
        int less = time->tv_sec < was.tv_sec || (time->tv_sec == was.tv_sec && time->tv_nsec < was.tv_nsec);
        int zero = !time->tv_sec && !time->tv_nsec;
        printf(" time %s%s", zero ? "out" : same ? "same" : less ? "less" : "more",
               less && time->tv_sec + 5 >= was.tv_sec && time->tv_nsec >= 0 && time->tv_nsec < 1000000000 ? " right" : "");
    }
    close(pair[1]);
    if (fd != 999)
        close(fd);
}

/* sendmmsg type= count= size= flags= room= vec= bad= */
static void make_sendmmsg(void)
{
    int pair[2], fd = message_sockets(pair), room = (int)number("room", 0);
    unsigned char *bytes = edge(MESSAGES * PART), got[512];
    if (room && pair[0] >= 0)
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (is("peer", "gone"))
        close(pair[1]), pair[1] = -1;
    struct mmsghdr *list = messages(bytes, 1);
    long a[6] = {fd, (long)list, number("count", 3), number("flags", MSG_DONTWAIT | MSG_NOSIGNAL)};
    outcome(made(307, "sendmmsg", INT, a));
    if (!value("vec", NULL)) {
        printf(" lengths");
        for (int i = 0; i < MESSAGES; i++)
            printf(" %u", list[i].msg_len);
    }
    printf(" came");
    struct iovec part = {got, sizeof got};
    struct msghdr one = {.msg_iov = &part, .msg_iovlen = 1};
    for (ssize_t n; pair[1] >= 0 && (n = recvmsg(pair[1], &one, MSG_DONTWAIT)) > 0;)
        printf(" %zd:%x:%08x", n, one.msg_flags, hash(1, got, n));
    close(pair[1]);
    if (fd != 999)
        close(fd);
}

static uint32_t *word, *other_word;
static volatile int waiter_ids[8];

static void *wait_on_word(void *index)
{
    int i = (int)(long)index;
    waiter_ids[i] = (int)syscall(SYS_gettid);
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 5, NULL, NULL, 1 + i % 2);
    return NULL;
}

/* Two words, and threads that sleep on the first: with mask 1, 2, 1, 2... */
static pthread_t threads[8];
static int sleepers(void)
{
    int count = (int)number("waiters", 0);
    word = place(value("word", "buf"), 4);
    other_word = (uint32_t *)edge(4);
    if ((long)word > 0x12345000 && !is("word", "high"))
        *word = 5;
    *other_word = 6;
    for (int i = 0; i < count; i++) {
        waiter_ids[i] = 0;
        pthread_create(&threads[i], NULL, wait_on_word, (void *)(long)i);
        /* One after the other, since they are woken in the order they came. */
        while (in_call(waiter_ids[i]) != SYS_futex)
            sched_yield();
    }
    return count;
}

static void awake(int count, int of_other)
{
    if (!count)
        return;
    long first = syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 100);
    long second = syscall(SYS_futex, other_word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 100);
    printf(" awake %ld left %ld and %ld", count - first - second, first, second);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* futex_wake waiters= mask= count= flags= word= */
static void make_futex_wake(void)
{
    int count = sleepers();
    long a[6] = {(long)word + number("plus", 0), number("mask", 0xffffffff), number("count", 1), number("flags", 130)};
    outcome(made(454, NULL, INT, a));
    awake(count, 0);
}

/* futex_wait value= mask= flags= time= sec= nsec= (from now) clock= */
static void make_futex_wait(void)
{
    sleepers();
    struct timespec *time = place(value("time", "buf"), sizeof *time);
    if (is("time", "")) {
        clock_gettime((int)number("clock", 1) == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, time);
        if (value("nsec", NULL))
            time->tv_nsec = number("nsec", 0);
        else if ((time->tv_nsec += number("later", 0)) >= 1000000000)
            time->tv_sec++, time->tv_nsec -= 1000000000;
        time->tv_sec += number("sec", 0);
    }
    long a[6] = {(long)word + number("plus", 0), number("value", 5), number("mask", 0xffffffff), number("flags", 130), (long)time, number("clock", 1)};
    outcome(made(455, NULL, INT, a));
}

/* futex_requeue waiters= wake= requeue= flags= first= second= value= list= */
static void make_futex_requeue(void)
{
    struct waitv { uint64_t value, address; uint32_t flags, reserved; } *list;
    int count = sleepers();
    list = place(value("list", "buf"), sizeof *list * 2);
    if (is("list", "")) {
        list[0] = (struct waitv){number("value", 5), (long)word, number("first", 130), number("reserved", 0)};
        list[1] = (struct waitv){number("second_value", 6), (long)other_word, number("second", 130), 0};
    }
    long a[6] = {(long)list, number("flags", 0), number("wake", 1), number("requeue", 1)};
    outcome(made(456, NULL, INT, a));
    awake(count, 1);
}

const struct call calls[] = {
    {"close_range", make_close_range}, {"accept4", make_accept4}, {"dup3", make_dup3},
    {"pipe2", make_pipe2}, {"eventfd2", make_eventfd2}, {"inotify_init1", make_inotify_init1},
    {"epoll_create1", make_epoll_create1}, {"signalfd4", make_signalfd4}, {"epoll_pwait", make_epoll_pwait},
    {"epoll_pwait2", make_epoll_pwait2}, {"recvmmsg", make_recvmmsg}, {"sendmmsg", make_sendmmsg},
    {"futex_wake", make_futex_wake}, {"futex_wait", make_futex_wait}, {"futex_requeue", make_futex_requeue}, {NULL, NULL},
};

const char *const checks[] = {
    "close_range", "close_range last=100", "close_range first=100 last=0xffffffff", "close_range first=105 last=105 flags=4",
    "close_range flags=4", "close_range first=3 last=0xffffffff flags=4", "close_range flags=2", "close_range flags=6 last=120",
    "close_range flags=2 share=no", "close_range flags=1", "close_range flags=8", "close_range first=9 last=8",
    "close_range first=9 last=8 flags=6", "close_range first=0x100000064 last=0x100000066", "close_range first=500 last=600",
    "close_range first=0 last=2 flags=2", "close_range full=yes", "close_range full=yes flags=4", "close_range full=yes last=0xffffffff flags=2",
    "close_range full=yes first=3 last=0xffffffff", "close_range flags=0x100000000",
    "close_range from=103", "close_range from=110", "close_range from=4000", "close_range from=-1 share=no", "close_range from=3",
    "accept4", "accept4 flags=02000000", "accept4 flags=04000", "accept4 flags=02004000", "accept4 flags=1", "accept4 sock=closed flags=1",
    "accept4 sock=closed", "accept4 sock=file", "accept4 sock=file flags=1", "accept4 sock=path", "accept4 sock=datagrams", "accept4 sock=unheard client=no",
    "accept4 client=no", "accept4 client=no flags=02004000", "accept4 addr=null length=null", "accept4 addr=bad", "accept4 length=bad",
    "accept4 length=null", "accept4 room=none flags=02000000", "accept4 sock=datagrams flags=0x10",
    "dup3", "dup3 flags=02000000", "dup3 flags=04000", "dup3 old=1 new=1", "dup3 old=999 new=999", "dup3 old=999", "dup3 old=-1 flags=02000000",
    "dup3 new=-1", "dup3 new=0x7fffffff flags=02000000", "dup3 old=0x100000000 new=150", "dup3 old=999 flags=1",
    "pipe2", "pipe2 flags=02000000", "pipe2 flags=04000", "pipe2 flags=02004000", "pipe2 flags=040000", "pipe2 flags=042004000", "pipe2 flags=1",
    "pipe2 flags=-1", "pipe2 fds=null", "pipe2 fds=bad", "pipe2 fds=kernel", "pipe2 fds=edge:4", "pipe2 fds=edge:7 flags=02000000",
    "pipe2 fds=ro", "pipe2 fds=bad flags=1", "pipe2 limit=4", "pipe2 limit=3 fds=bad", "pipe2 limit=4 flags=02000000",
    "eventfd2", "eventfd2 flags=02000000", "eventfd2 flags=04000", "eventfd2 flags=02004000 count=0xffffffff", "eventfd2 flags=2", "eventfd2 flags=-1",
    "eventfd2 count=0", "eventfd2 flags=1",
    "inotify_init1", "inotify_init1 flags=02000000", "inotify_init1 flags=04000", "inotify_init1 flags=02004000", "inotify_init1 flags=1",
    "epoll_create1", "epoll_create1 flags=02000000", "epoll_create1 flags=04000", "epoll_create1 flags=-1",
    "signalfd4", "signalfd4 flags=02000000", "signalfd4 flags=04000", "signalfd4 flags=02004000", "signalfd4 flags=1", "signalfd4 size=4",
    "signalfd4 size=128", "signalfd4 mask=bad", "signalfd4 mask=null flags=1", "signalfd4 mask=bad size=4", "signalfd4 fd=old", "signalfd4 fd=old flags=02004000",
    "signalfd4 fd=old flags=1", "signalfd4 fd=0", "signalfd4 fd=999", "signalfd4 fd=-2", "signalfd4 mask=edge:7",
    "epoll_pwait", "epoll_pwait ready=0", "epoll_pwait ready=3", "epoll_pwait ready=3 most=2", "epoll_pwait ready=3 most=1 edge=yes",
    "epoll_pwait timeout=-1", "epoll_pwait ready=0 timeout=15", "epoll_pwait mask=buf", "epoll_pwait mask=buf ready=0 timeout=10",
    "epoll_pwait mask=buf pending=1", "epoll_pwait mask=buf pending=1 ready=0", "epoll_pwait mask=buf pending=1 ready=0 timeout=50",
    "epoll_pwait mask=buf pending=1 ready=0 timeout=-1", "epoll_pwait pending=1 ready=0 timeout=10", "epoll_pwait mask=bad", "epoll_pwait mask=buf size=4",
    "epoll_pwait mask=null size=4", "epoll_pwait mask=bad size=4", "epoll_pwait mask=edge:7", "epoll_pwait most=0", "epoll_pwait most=-1",
    "epoll_pwait most=178956970 events=null ready=0", "epoll_pwait most=178956971", "epoll_pwait events=bad", "epoll_pwait events=bad ready=0 timeout=5",
    "epoll_pwait events=kernel", "epoll_pwait events=null", "epoll_pwait queue=closed", "epoll_pwait queue=closed mask=bad", "epoll_pwait queue=closed most=0",
    "epoll_pwait queue=pipe", "epoll_pwait events=ro", "epoll_pwait timeout=-5 ready=2 edge=yes",
    "epoll_pwait2", "epoll_pwait2 ready=0", "epoll_pwait2 ready=0 nsec=700000", "epoll_pwait2 ready=0 nsec=12345678 mask=buf", "epoll_pwait2 time=null",
    "epoll_pwait2 time=null ready=0 mask=buf pending=1", "epoll_pwait2 nsec=-1", "epoll_pwait2 nsec=1000000000", "epoll_pwait2 sec=-1", "epoll_pwait2 sec=-1 queue=closed",
    "epoll_pwait2 time=bad", "epoll_pwait2 time=bad mask=bad", "epoll_pwait2 time=edge:15", "epoll_pwait2 mask=bad", "epoll_pwait2 mask=buf size=7",
    "epoll_pwait2 sec=0x7fffffffffffffff ready=2", "epoll_pwait2 sec=0x7fffffffffffffff nsec=999999999 ready=0 mask=buf pending=1", "epoll_pwait2 queue=closed",
    "epoll_pwait2 queue=pipe", "epoll_pwait2 most=0", "epoll_pwait2 events=kernel", "epoll_pwait2 ready=3 most=2 edge=yes", "epoll_pwait2 mask=buf pending=1 ready=0 nsec=1",
    "recvmmsg", "recvmmsg count=2", "recvmmsg count=5", "recvmmsg queued=0", "recvmmsg count=0", "recvmmsg count=0 sock=closed", "recvmmsg size=12",
    "recvmmsg size=12 flags=0x60", "recvmmsg flags=0x10000 count=8", "recvmmsg flags=0x10000 count=2 queued=5", "recvmmsg sec=0 nsec=0", "recvmmsg sec=9",
    "recvmmsg sec=0x7fffffffffffffff", "recvmmsg sec=100 nsec=999999999 count=5", "recvmmsg sec=9 queued=0", "recvmmsg sec=-1", "recvmmsg nsec=1000000000", "recvmmsg nsec=-1 sock=closed",
    "recvmmsg time=bad", "recvmmsg time=bad sock=closed", "recvmmsg sock=closed", "recvmmsg sock=file", "recvmmsg flags=0x80000000", "recvmmsg flags=0x80000000 sock=closed",
    "recvmmsg vec=bad", "recvmmsg vec=kernel", "recvmmsg vec=null", "recvmmsg vec=edge:40", "recvmmsg bad=0 size=30", "recvmmsg bad=1 size=30", "recvmmsg badlist=2",
    "recvmmsg type=stream", "recvmmsg type=stream count=8 size=9", "recvmmsg type=packets", "recvmmsg type=packets peer=gone count=5", "recvmmsg type=stream peer=gone count=8",
    "recvmmsg count=-1 flags=0x10000", "recvmmsg flags=0x42",
    "sendmmsg", "sendmmsg count=0", "sendmmsg count=0 sock=closed", "sendmmsg count=8", "sendmmsg type=stream", "sendmmsg type=packets count=4", "sendmmsg type=packets record=1",
    "sendmmsg sock=closed", "sendmmsg sock=file", "sendmmsg flags=0x80000000", "sendmmsg flags=0x80000000 sock=closed", "sendmmsg vec=bad", "sendmmsg vec=null", "sendmmsg vec=kernel",
    "sendmmsg vec=edge:40", "sendmmsg bad=0", "sendmmsg bad=2 count=5", "sendmmsg badlist=1", "sendmmsg badlist=0", "sendmmsg type=stream bad=1 count=4", "sendmmsg peer=gone",
    "sendmmsg type=stream peer=gone", "sendmmsg flags=0x4041", "sendmmsg size=0", "sendmmsg type=stream size=0",
    "futex_wake", "futex_wake waiters=3", "futex_wake waiters=4 count=3", "futex_wake waiters=4 mask=2 count=9", "futex_wake waiters=2 count=0", "futex_wake waiters=3 count=-1",
    "futex_wake mask=0", "futex_wake mask=0x100000000", "futex_wake flags=0", "futex_wake flags=1", "futex_wake flags=3", "futex_wake flags=2", "futex_wake flags=0x102",
    "futex_wake flags=2 waiters=2", "futex_wake plus=1", "futex_wake plus=2 count=0", "futex_wake word=bad", "futex_wake word=bad count=0", "futex_wake word=bad flags=2", "futex_wake word=bad flags=2 count=0",
    "futex_wake word=kernel", "futex_wake word=kernel count=0", "futex_wake word=null mask=0", "futex_wake flags=-1 mask=0",
    "futex_wait", "futex_wait value=4", "futex_wait later=9000000", "futex_wait later=9000000 clock=0", "futex_wait later=9000000 flags=2", "futex_wait value=0x100000005", "futex_wait mask=0",
    "futex_wait mask=0x100000001", "futex_wait flags=0", "futex_wait flags=0x82 clock=7", "futex_wait time=null clock=7 value=4", "futex_wait clock=2", "futex_wait time=bad", "futex_wait time=bad clock=3",
    "futex_wait nsec=1000000000", "futex_wait nsec=-1", "futex_wait sec=-100000000", "futex_wait word=bad", "futex_wait word=null value=4", "futex_wait plus=1", "futex_wait time=null value=4 flags=2",
    "futex_wait time=bad flags=9",
    "futex_requeue", "futex_requeue waiters=4", "futex_requeue waiters=4 wake=0 requeue=9", "futex_requeue waiters=3 wake=2 requeue=0", "futex_requeue waiters=2 value=4", "futex_requeue flags=1",
    "futex_requeue flags=1 list=bad", "futex_requeue list=null", "futex_requeue list=bad", "futex_requeue list=edge:40", "futex_requeue first=0", "futex_requeue second=0", "futex_requeue first=2 second=2",
    "futex_requeue reserved=1", "futex_requeue value=0x100000005", "futex_requeue second_value=0x100000000", "futex_requeue wake=-1", "futex_requeue requeue=-1", "futex_requeue first=2 second=130",
    NULL,
};
