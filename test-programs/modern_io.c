/* modern_io syscall|symbol|ask: random bytes, copies between files, vectored I/O with positions and flags,
 * and what file systems write out; see modern.h. */
#include "modern.h"
#include <sys/uio.h>

/* getrandom len= flags= buf= via=: how many, whether they are fresh, whether the rest was kept. */
static void check_random(long call_number, const char *name, size_t length, const long *a, unsigned char *buffer)
{
    long result = made(call_number, name, LONG, a);
    int entropy = is("via", "getentropy");
    if (entropy && !strcmp(door, "symbol"))
        result = (int)result;
    else if (entropy && length > 256)
        result = -1, errno = EIO;
    else if (entropy && result >= 0)
        result = (size_t)result == length ? 0 : (errno = EFAULT, -1);
    outcome(result);
    if (entropy && result < 0)
        return;
    size_t filled = result < 0 ? 0 : entropy ? length : (size_t)result;
    if ((long)buffer <= 0 || (long)buffer == 0x12345000 || !strncmp(value("buf", ""), "edge", 4) || is("buf", "high"))
        return;
    size_t same = 0, kept = 0, room = length < 65536 ? length : 65536;
    for (size_t i = 0; i < room; i++)
        i < filled ? (same += buffer[i] == FILLING) : (kept += buffer[i] == FILLING);
    printf(" %s, %zu kept", same > filled / 8 + 3 ? "stale" : "fresh", kept);
}

static void make_getentropy(void);

static void make_getrandom(void)
{
    if (is("via", "getentropy")) {
        make_getentropy();
        return;
    }
    size_t length = number("len", 32);
    unsigned char *buffer = place(value("buf", "buf"), length < 65536 ? length : 65536);
    long a[6] = {(long)buffer, (long)length, number("flags", 0)};
    check_random(318, "getrandom", length, a, buffer);
}

static void make_getentropy(void)
{
    size_t length = number("len", 32);
    unsigned char *buffer = place(value("buf", "buf"), length < 65536 ? length : 65536);
    long a[6] = {(long)buffer, (long)length};
    // No system call of its own: getrandom through the other doors, as libc makes it.
    check_random(318, strcmp(door, "symbol") ? "getrandom" : "getentropy", length, a, buffer);
}

static uint32_t file_hash(int fd, long long *size)
{
    unsigned char bytes[4096];
    uint32_t sum = 2166136261u;
    struct stat stat;
    *size = fstat(fd, &stat) ? -1 : (long long)stat.st_size;
    ssize_t got;
    // Of a large file with holes, its end.
    for (off_t at = *size > 4 << 20 ? *size - 65536 : 0; (got = pread(fd, bytes, sizeof bytes, at)) > 0; at += got)
        sum = hash(sum, bytes, got);
    return sum;
}

static long long *offset(const char *key)
{
    const char *text = value(key, "null");
    long long *at = place(*text == '-' || (*text >= '0' && *text <= '9') ? "buf" : text, sizeof *at);
    if ((long)at > 0 && (long)at != 0x12345000 && (*text == '-' || (*text >= '0' && *text <= '9')))
        *at = number(key, 0);
    if (!strcmp(text, "zero-ro")) {
        *at = 0;
        mprotect(maps[map_count - 1].at, maps[map_count - 1].length - PAGE, PROT_READ);
    }
    return at;
}

/* Shows a file through a descriptor of its own, whatever the first one may do. */
static void show_file(int fd)
{
    char path[64];
    long long size;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_NONBLOCK);
    uint32_t sum = file_hash(again, &size);
    printf(" size %lld sum %08x", size, sum);
    close(again);
}

static int is_file(const char *key)
{
    return is(key, "") || is(key, "same") || is(key, "temp");
}

/* copy_file_range in= out= inmode= outmode= insize= outsize= inpos= outpos= offin= offout= len= flags= limit= */
static void make_copy(void)
{
    int out = -1, in;
    if (is("out", "same")) {
        in = memory_file(number("insize", 1000), 1, open_flags("inmode", "r"), &out, open_flags("outmode", "rw"));
    } else {
        in = descriptor(value("in", ""), number("insize", 1000), open_flags("inmode", "r"));
        out = descriptor(value("out", ""), number("outsize", 0), open_flags("outmode", "rw"));
    }
    lseek(in, number("inpos", 0), SEEK_SET);
    lseek(out, number("outpos", 0), SEEK_SET);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    signal(SIGXFSZ, SIG_IGN);
    if (value("limit", NULL)) {
        limit.rlim_cur = number("limit", 0);
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    long long *offin = offset("offin"), *offout = is("offout", "both") ? offin : offset("offout");
    long a[6] = {in, (long)offin, out, (long)offout, number("len", 100), number("flags", 0)};
    long result = made(326, "copy_file_range", LONG, a);
    int error = errno;
    setrlimit(RLIMIT_FSIZE, &old);
    errno = error;
    outcome(result);
    const char *text;
    if ((text = value("offin", NULL)) && *text <= '9')
        printf(" offin %lld", *offin);
    if ((text = value("offout", NULL)) && *text <= '9')
        printf(" offout %lld", *offout);
    if (is_file("in") && is_file("out")) {
        printf(" at %ld and %ld", (long)lseek(in, 0, SEEK_CUR), (long)lseek(out, 0, SEEK_CUR));
        show_file(out);
    }
    if (in != 999)
        close(in);
    if (out != 999)
        close(out);
}

/* preadv... file= mode= size= pos= off= flags= iov=LENGTH[KIND],... vec= count=
 * KIND: b buffer, n NULL, x bad, k kernel, h high, r read-only, s shorter by 5. */
static void vectors(long call_number, const char *name, int writes, int with_flags)
{
    static const char *const kinds[128] = {['n'] = "null", ['x'] = "bad", ['k'] = "kernel", ['h'] = "high", ['r'] = "ro"};
    struct { unsigned char *at; size_t length; } shown[32];
    int fd = descriptor(value("file", ""), number("size", 100), open_flags("mode", "rw"));
    lseek(fd, number("pos", 0), SEEK_SET);
    const char *list = value("iov", "10b");
    struct iovec *iov = (struct iovec *)edge(sizeof *iov * 32);
    int count = 0;
    for (char *end; *list && count < 32; count++) {
        size_t length = *list == '-' ? (size_t)strtol(list, &end, 0) : strtoul(list, &end, 0);
        char kind = *end && *end != ',' ? *end++ : 'b';
        size_t room = length > 100000 ? 100000 : length;
        if (kind == 's')
            room = room > 5 ? room - 5 : 0;
        unsigned char *at = place(kinds[(int)kind] ? kinds[(int)kind] : "buf", room);
        int ours = kind == 'b' || kind == 's';
        if (ours && writes)
            pattern(at, room, 50 + count);
        shown[count].at = ours ? at : NULL;
        shown[count].length = room;
        iov[count] = (struct iovec){at, length};
        list = *end == ',' ? end + 1 : end;
    }
    // The list itself ends at the edge too.
    iov = memmove(iov + 32 - count, iov, sizeof *iov * count);
    struct iovec *many = NULL;
    long asked = number("count", count);
    if (asked > 32 && asked < 3000 && count) {
        many = (struct iovec *)edge(sizeof *iov * asked);
        for (long i = 0; i < asked; i++)
            many[i] = iov[i % count];
    }
    if (value("vec", NULL))
        iov = place(value("vec", ""), sizeof *iov);
    long at = number("off", 0), flags = number("flags", 0);
    long a[6] = {fd, (long)(many ? many : iov), asked, at, 0, with_flags ? flags : 0};
    if (with_flags && !strcmp(door, "symbol"))
        a[4] = flags;
    outcome(made(call_number, name, LONG, a));
    uint32_t sum = 2166136261u;
    for (int i = 0; i < count; i++)
        if (shown[i].at)
            sum = hash(sum, shown[i].at, shown[i].length);
    printf(" buffers %08x at %ld", sum, (long)lseek(fd, 0, SEEK_CUR));
    if (is_file("file"))
        show_file(fd);
    if (fd != 999)
        close(fd);
}

static void make_preadv(void) { vectors(295, "preadv", 0, 0); }
static void make_pwritev(void) { vectors(296, "pwritev", 1, 0); }
static void make_preadv2(void) { vectors(327, "preadv2", 0, 1); }
static void make_pwritev2(void) { vectors(328, "pwritev2", 1, 1); }

static void on_file(long call_number, const char *name, const char *const *keys)
{
    int fd = descriptor(value("file", ""), number("size", 100), open_flags("mode", "rw"));
    long a[6] = {fd};
    for (int i = 0; keys[i]; i++)
        a[i + 1] = number(keys[i], 0);
    outcome(made(call_number, name, INT, a));
    if (fd != 999)
        close(fd);
}

static void make_fallocate(void)
{
    on_file(285, "fallocate", (const char *const[]){"mode_", "off", "len", NULL});
}

static void make_sync_file_range(void)
{
    on_file(277, "sync_file_range", (const char *const[]){"off", "len", "flags", NULL});
}

static void make_syncfs(void)
{
    on_file(306, "syncfs", (const char *const[]){NULL});
}

const struct call calls[] = {
    {"getrandom", make_getrandom}, {"copy_file_range", make_copy},
    {"preadv", make_preadv}, {"pwritev", make_pwritev}, {"preadv2", make_preadv2}, {"pwritev2", make_pwritev2},
    {"fallocate", make_fallocate}, {"sync_file_range", make_sync_file_range}, {"syncfs", make_syncfs}, {NULL, NULL},
};

const char *const checks[] = {
    "getrandom len=32", "getrandom len=0", "getrandom len=0 buf=bad", "getrandom len=0 buf=kernel",
    "getrandom len=256 flags=1", "getrandom len=5000 flags=2", "getrandom len=64 flags=4", "getrandom flags=6",
    "getrandom flags=8", "getrandom flags=0x100000001", "getrandom buf=null", "getrandom buf=bad", "getrandom buf=kernel",
    "getrandom buf=ro", "getrandom len=400 buf=edge:300", "getrandom len=-1 buf=edge:300", "getrandom len=70000",
    "getrandom len=100 buf=edge:0 flags=1", "getrandom via=getentropy len=256",
    "getrandom via=getentropy len=0", "getrandom via=getentropy buf=bad", "getrandom via=getentropy len=200 buf=edge:100",
    "getrandom via=getentropy len=257", "getrandom via=getentropy len=1 buf=kernel",
    "copy_file_range len=300", "copy_file_range len=0", "copy_file_range len=300 inpos=50 outpos=7",
    "copy_file_range len=5000 offin=900", "copy_file_range len=200 offin=10 offout=20 outsize=100",
    "copy_file_range len=200000 insize=150000", "copy_file_range len=-1", "copy_file_range len=-1 offin=1",
    "copy_file_range offin=5000", "copy_file_range offin=-1", "copy_file_range offin=-1 len=0", "copy_file_range offout=-5",
    "copy_file_range offin=-500 len=100", "copy_file_range offout=0x7fffffffffffffff", "copy_file_range len=0 offout=0x7fffffffffffffff",
    "copy_file_range offin=bad", "copy_file_range offout=kernel", "copy_file_range offin=zero-ro", "copy_file_range offout=zero-ro offin=5", "copy_file_range offin=edge:7",
    "copy_file_range flags=1", "copy_file_range flags=1 offin=bad", "copy_file_range flags=1 in=closed",
    "copy_file_range in=closed", "copy_file_range out=closed", "copy_file_range in=dir", "copy_file_range out=dir",
    "copy_file_range in=pipe", "copy_file_range out=pipew", "copy_file_range in=null", "copy_file_range out=null outmode=w",
    "copy_file_range inmode=w", "copy_file_range outmode=r", "copy_file_range outmode=rwa", "copy_file_range inmode=p",
    "copy_file_range outmode=p", "copy_file_range inmode=n", "copy_file_range out=temp",
    "copy_file_range out=same len=100 offin=0 offout=500", "copy_file_range out=same len=100 offin=0 offout=50",
    "copy_file_range out=same len=100 offin=50 offout=0", "copy_file_range out=same len=100 offin=0 offout=100",
    "copy_file_range out=same len=100 offin=950 offout=1000", "copy_file_range out=same len=600 offin=900 offout=960",
    "copy_file_range out=same offin=0 offout=both", "copy_file_range len=100 limit=60", "copy_file_range len=100 limit=60 outpos=60",
    "copy_file_range in=proc len=100", "copy_file_range offin=10 offout=0 offout=both len=50",
    "preadv iov=10b,20b,5b off=3", "preadv iov=60b,60b,60b off=20", "preadv iov= off=0", "preadv iov=0n,5b,0x off=1",
    "preadv iov=0k,5b off=1", "preadv iov=5b,5k,5b off=0", "preadv iov=5b,5x,5b off=0", "preadv iov=5x,5b off=0",
    "preadv iov=5b,20s,5b off=0", "preadv iov=5b,-1b off=0", "preadv iov=5r off=0", "preadv iov=5b off=-1",
    "preadv iov=5b off=0x7fffffffffffffff", "preadv iov=5b off=1000", "preadv vec=bad count=1", "preadv vec=null count=1",
    "preadv vec=bad count=0", "preadv count=1025", "preadv count=1024 iov=1b", "preadv count=-1", "preadv file=closed",
    "preadv file=closed off=-1", "preadv file=pipe", "preadv file=pipe vec=bad count=1", "preadv file=dir mode=r",
    "preadv file=dir mode=r iov=0b", "preadv mode=w", "preadv mode=w iov=0b", "preadv mode=w vec=bad count=1", "preadv mode=p",
    "preadv file=null mode=rw", "preadv iov=0x7ffff000h,10b",
    "pwritev iov=10b,20b,5b off=3", "pwritev iov=10b,20b off=95", "pwritev iov=10b off=200", "pwritev iov= off=0",
    "pwritev iov=5b,5x,5b", "pwritev iov=5x,5b", "pwritev iov=5b,20s,9b off=2", "pwritev iov=0k", "pwritev iov=10b off=-2",
    "pwritev file=closed", "pwritev file=pipew", "pwritev mode=r", "pwritev mode=r iov=0b", "pwritev mode=rwa off=3 iov=4b,5b",
    "pwritev count=1025", "pwritev count=1024 iov=3b", "pwritev vec=bad count=2", "pwritev file=null mode=w iov=7b,8b",
    "pwritev iov=5b,-5b", "pwritev off=0x7ffffffffffffffe iov=1b,1b",
    "preadv2 iov=10b,20b off=3", "preadv2 iov=10b,20b off=-1 pos=5", "preadv2 off=-2", "preadv2 off=-1 file=pipe size=20 iov=3b,4b",
    "preadv2 off=0 file=pipe size=20", "preadv2 flags=1", "preadv2 flags=2", "preadv2 flags=4", "preadv2 flags=6 off=-1 pos=4",
    "preadv2 flags=0x80000000", "preadv2 flags=0x80000000 iov=", "preadv2 flags=0x80000000 iov=0n off=-1",
    "preadv2 flags=0x80000000 file=closed off=-1", "preadv2 flags=0x80000000 mode=w", "preadv2 flags=0x80000000 off=-1 vec=bad count=1",
    "preadv2 flags=0x80000000 off=-1 count=1025", "preadv2 off=-1 mode=w", "preadv2 vec=bad count=1", "preadv2 file=dir mode=r",
    "preadv2 flags=0x40000000 off=-1",
    "pwritev2 iov=10b,20b off=3", "pwritev2 iov=10b,20b off=-1 pos=5", "pwritev2 flags=1 iov=5b off=2", "pwritev2 flags=2 iov=5b off=2",
    "pwritev2 flags=4 iov=5b off=2", "pwritev2 flags=2 iov=5b off=-1 pos=9", "pwritev2 flags=6 file=temp iov=3b,3b",
    "pwritev2 flags=2 file=pipew iov=5b off=-1", "pwritev2 flags=4 file=pipew off=1", "pwritev2 flags=0x80000000 iov=5b",
    "pwritev2 flags=0x80000000 iov=", "pwritev2 flags=0x80000000 off=-1", "pwritev2 mode=r", "pwritev2 mode=r off=-1 flags=2",
    "pwritev2 file=closed", "pwritev2 off=-3", "pwritev2 vec=kernel count=1 off=-1", "pwritev2 iov=5b,5x,5b flags=2",
    "fallocate file=closed", "fallocate len=0", "fallocate off=-1 len=5", "fallocate len=-5", "fallocate file=closed len=0",
    "fallocate len=5 mode_=0x1000", "fallocate len=5 mode_=2", "fallocate len=5 mode_=9", "fallocate len=5 mode_=0x18 mode=r",
    "fallocate len=5 mode=r", "fallocate len=5 mode=p", "fallocate len=5 file=pipew", "fallocate len=5 file=pipe", "fallocate len=5 file=dir",
    "fallocate len=5 file=null", "fallocate off=0x7fffffffffffffff len=1", "fallocate off=0x7fffffffffffffff len=1 file=null",
    "fallocate len=5 file=proc", "fallocate len=5 mode_=1 file=proc", "fallocate len=5 mode_=3 file=proc", "fallocate len=50",
    "sync_file_range file=temp flags=7", "sync_file_range file=temp flags=0", "sync_file_range flags=2", "sync_file_range flags=8",
    "sync_file_range file=closed flags=8", "sync_file_range off=-1", "sync_file_range off=10 len=-5", "sync_file_range off=10 len=-50",
    "sync_file_range off=0x7fffffffffffffff len=1", "sync_file_range off=10 len=5 flags=1", "sync_file_range file=pipe flags=2",
    "sync_file_range file=pipe flags=16", "sync_file_range file=null", "sync_file_range file=dir flags=2", "sync_file_range mode=p",
    "sync_file_range mode=r flags=7", "syncfs file=closed", "syncfs mode=p", "syncfs", "syncfs file=pipe",
    NULL,
};
