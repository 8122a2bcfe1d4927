/* results_files syscall|symbol|ask: sendfile and splice between files, pipes and sockets; see modern.h. */
#include "modern.h"
#include <sys/socket.h>
#include <sys/time.h>

enum { WRITER = 201 };

/* A number as a place of 8 bytes that holds it; else the place as named. */
static long long *offset(const char *key)
{
    const char *text = value(key, "null");
    int given = *text == '-' || (*text >= '0' && *text <= '9');
    if (!strcmp(text, "zero-ro")) {
        long long *at = place("buf", sizeof *at);
        *at = 0;
        mprotect(maps[map_count - 1].at, maps[map_count - 1].length - PAGE, PROT_READ);
        return at;
    }
    long long *at = place(given ? "buf" : text, sizeof *at);
    if (given)
        *at = number(key, 0);
    return at;
}

static int is_offset(const char *key)
{
    const char *text = value(key, "");
    return *text == '-' || (*text >= '0' && *text <= '9');
}

/* More descriptors: stream (a socket, its peer READER); filled (a pipe of SIZE bytes without a writer),
 * held (the same with one), event (an event counter of SIZE), open (a pipe to write to that holds SIZE bytes), gone (one without a reader);
 * or a PATH. */
static int end_of(const char *kind, size_t size, int flags)
{
    static unsigned char bytes[1 << 17];
    int pair[2];
    if (*kind == '/') return open(kind, flags);
    if (!strcmp(kind, "stream")) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
            exit(2);
        dup2(pair[1], READER);
        close(pair[1]);
        return pair[0];
    }
    if (!strcmp(kind, "event")) return (int)syscall(SYS_eventfd2, (unsigned)size, O_NONBLOCK);
    if (strcmp(kind, "filled") && strcmp(kind, "held") && strcmp(kind, "open") && strcmp(kind, "gone"))
        return descriptor(kind, size, flags);
    if (pipe(pair))
        exit(2);
    size = size < 65536 ? size : 65536;
    pattern(bytes, size, 77);
    if (size && write(pair[1], bytes, size) != (ssize_t)size)
        exit(2);
    if (*kind == 'o' || *kind == 'g') {
        if (*kind == 'o')
            dup2(pair[0], READER);
        close(pair[0]);
        return pair[1];
    }
    if (*kind == 'h')
        dup2(pair[1], WRITER);
    close(pair[1]);
    return pair[0];
}

/* All that can be read of a descriptor now. */
static void drain(const char *name, int fd)
{
    static unsigned char bytes[1 << 17];
    uint32_t sum = 2166136261u;
    size_t all = 0;
    ssize_t got;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    while ((got = read(fd, bytes, sizeof bytes)) > 0)
        sum = hash(sum, bytes, got), all += got;
    printf(" %s %zu sum %08x", name, all, sum);
}

static void show(const char *name, int fd)
{
    static unsigned char bytes[1 << 18];
    char path[64];
    struct stat stat;
    if (fstat(fd, &stat))
        return;
    printf(" %s at %ld", name, (long)lseek(fd, 0, SEEK_CUR));
    if (!S_ISREG(stat.st_mode))
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY);
    ssize_t got = pread(again, bytes, sizeof bytes, 0);
    if (again >= 0 && !strncmp(value(name, ""), "/", 1))
        printf(" holds %.*s", got > 0 ? (int)strcspn((char *)bytes, "\n") : 0, bytes);
    else
        printf(" size %lld sum %08x", (long long)stat.st_size, got < 0 ? 0 : hash(2166136261u, bytes, got));
    close(again);
}

static void interrupted(int signal) { (void)signal; }

/* The call with what surrounds it: limit= (RLIMIT_FSIZE), timer=yes (a signal again and again), full=yes
 * (no descriptor left), in and out. */
static void transfer(long call_number, const char *name, int in, int out, const long *a)
{
    struct rlimit old, limit, files;
    getrlimit(RLIMIT_FSIZE, &old);
    getrlimit(RLIMIT_NOFILE, &files);
    limit = old;
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, interrupted);
    if (value("limit", NULL)) {
        limit.rlim_cur = number("limit", 0);
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (is("full", "yes"))
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, files.rlim_max});
    struct sigaction action = {.sa_handler = interrupted}, before;
    sigaction(SIGALRM, &action, &before);
    if (is("timer", "yes"))
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL);
    long result = made(call_number, name, LONG, a);
    int error = errno;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {60, 0}}, NULL);
    sigaction(SIGALRM, &before, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_NOFILE, &files);
    errno = error;
    outcome(result);
    show("in", in);
    show("out", out);
    if (fcntl(READER, F_GETFD) >= 0)
        drain("reader", READER);
    if (is("in", "filled") || is("in", "held") || is("in", "event"))
        drain("left", in);
    if (in != 999)
        close(in);
    if (out != 999)
        close(out);
    close(WRITER);
}

static void ends(int *in, int *out)
{
    int flags = number("nonblock", 0) ? O_NONBLOCK : 0;
    if (is("out", "same")) {
        *in = memory_file(number("insize", 1000), 1, open_flags("inmode", "r"), out, open_flags("outmode", "rw"));
    } else {
        *in = end_of(value("in", ""), number("insize", 1000), open_flags("inmode", "r"));
        *out = end_of(value("out", ""), number("outsize", 0), open_flags("outmode", "rw"));
    }
    lseek(*in, number("inpos", 0), SEEK_SET);
    lseek(*out, number("outpos", 0), SEEK_SET);
    if (flags)
        fcntl(*out, F_SETFL, fcntl(*out, F_GETFL) | flags);
}

/* sendfile in= out= inmode= outmode= insize= outsize= inpos= outpos= off= len= limit= nonblock= timer= */
static void make_sendfile(void)
{
    int in, out;
    ends(&in, &out);
    long long *at = offset("off");
    transfer(40, number("wide", 0) ? "sendfile64" : "sendfile", in, out, (long[6]){out, in, (long)at, number("len", 100)});
    if (is_offset("off"))
        printf(" off %lld", *at);
}

/* splice, likewise with offin= offout= flags= */
static void make_splice(void)
{
    int in, out;
    ends(&in, &out);
    long long *offin = offset("offin"), *offout = offset("offout");
    transfer(275, "splice", in, out, (long[6]){in, (long)offin, out, (long)offout, number("len", 100), number("flags", 0)});
    if (is_offset("offin"))
        printf(" offin %lld", *offin);
    if (is_offset("offout"))
        printf(" offout %lld", *offout);
}

/* splice of a pipe into itself. */
static void make_self(void)
{
    int pair[2];
    if (pipe(pair))
        exit(2);
    outcome(made(275, "splice", LONG, (long[6]){pair[0], 0, pair[1], 0, 10, 2}));
    close(pair[0]);
    close(pair[1]);
}

const struct call calls[] = {
    {"sendfile", make_sendfile}, {"splice", make_splice}, {"splice_self", make_self}, {NULL, NULL},
};

/* Files that 6.18 does not splice, by what read(2) and write(2) make of them. */
const char *const checks[] = {
    "sendfile in=/proc/self/cmdline len=10", "sendfile in=/proc/self/cmdline len=10 wide=1",
    "sendfile in=/proc/self/cmdline len=6 inpos=3", "sendfile in=/proc/self/cmdline len=6 off=4 inpos=2",
    "sendfile in=/proc/self/cmdline len=1000 out=stream", "sendfile in=/proc/self/cmdline len=9 out=open",
    "sendfile in=/proc/self/cmdline len=9 out=open off=2", "sendfile in=/proc/self/cmdline out=gone",
    "sendfile in=/proc/self/cmdline len=9 out=open outsize=65536 nonblock=1",
    "sendfile in=/proc/self/cmdline len=9 out=open outsize=65536 timer=yes",
    "sendfile in=/proc/self/cmdline off=100000", "sendfile in=/proc/self/cmdline len=30 limit=10",
    "sendfile in=/proc/config.gz len=200000", "sendfile out=/proc/self/oom_score_adj in=/proc/self/oom_score_adj",
    "splice in=/proc/self/cmdline len=9 out=open", "splice in=/proc/self/cmdline len=9 out=open inpos=3",
    "splice in=/proc/self/cmdline len=9 out=open offin=4 inpos=2", "splice in=/proc/self/cmdline out=gone",
    "splice in=/proc/self/cmdline out=open offin=100000", "splice in=/proc/config.gz len=60000 out=open",
    "splice in=/proc/self/cmdline out=open outsize=65536 flags=2",
    "splice in=/proc/self/cmdline out=open outsize=65536 nonblock=1",
    "splice in=/proc/self/cmdline out=open outsize=65536 timer=yes",
    "splice in=event insize=7 out=open", "splice in=event insize=7 out=open outsize=65536 flags=2",
    "splice in=event insize=7 out=open outsize=65536 timer=yes", "splice in=event insize=0 out=open",
    "splice in=event insize=7 out=gone", "splice in=event insize=7 out=open offin=0",
    "sendfile in=event insize=7", "sendfile in=event insize=7 out=open", "sendfile in=event insize=7 out=open off=0",
    "splice in=held insize=6 out=/proc/self/comm len=5", "splice in=held insize=6 out=/proc/self/comm len=9 outpos=2",
    "splice in=held insize=6 out=/proc/self/oom_score_adj", "splice in=held insize=0 out=/proc/self/comm flags=2",
    "splice in=held insize=0 out=/proc/self/comm timer=yes", "splice in=filled insize=0 out=/proc/self/comm",
    NULL,
};
