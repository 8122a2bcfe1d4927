/* superseded_descriptors syscall|symbol|ask: old calls that make or read descriptors, and limits; see modern.h. */
#define OLD_CALLS_ARE_CHECKED
#include "modern.h"
#include <poll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

/* A fresh descriptor: what it is and its flags; left open. */
static void show_descriptor(long fd)
{
    char path[64], what[64] = "none";
    struct stat stat = {0};
    if (fd < 0) {
        outcome(fd);
        return;
    }
    int error = errno;
    snprintf(path, sizeof path, "/proc/self/fd/%ld", fd);
    ssize_t length = readlinkat(AT_FDCWD, path, what, sizeof what - 1);
    if (length > 0)
        what[strcspn(what, ":[")] = 0;
    fstatat((int)fd, "", &stat, AT_EMPTY_PATH);
    printf(" descriptor %ld %s flags %x %d mode %o", fd, length < 0 ? "none" : what, fcntl((int)fd, F_GETFL),
           fcntl((int)fd, F_GETFD), stat.st_mode);
    if (error != UNTOUCHED)
        printf(" but errno %d", error);
}

static void limit_files(long most, struct rlimit *old)
{
    getrlimit(RLIMIT_NOFILE, old);
    struct rlimit limit = {most, old->rlim_max};
    if (most)
        setrlimit(RLIMIT_NOFILE, &limit);
}

/* eventfd count= limit= */
static void make_eventfd(void)
{
    struct rlimit old;
    uint64_t count = 0;
    long a[6] = {number("count", 0)};
    limit_files(number("limit", 0), &old);
    // Its symbol has flags.
    long fd = made(SYS_eventfd, NULL, INT, a);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &old);
    errno = error;
    show_descriptor(fd);
    if (fd >= 0) {
        if (a[0] & 0xffffffff && read((int)fd, &count, sizeof count) != sizeof count)
            exit(2);
        printf(" count %llu", (unsigned long long)count);
        close((int)fd);
    }
}

/* The signals that a signalfd takes, as the kernel has them. */
static void show_signals(long fd)
{
    char path[64], text[512] = "", *line;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%ld", fd);
    int info = openat(AT_FDCWD, path, O_RDONLY);
    if (read(info, text, sizeof text - 1) > 0 && (line = strstr(text, "sigmask:")))
        printf(" takes %.16s", line + 9);
    close(info);
}

/* signalfd fd=-1|old|pipe|closed mask= size= signals= */
static void make_signalfd(void)
{
    int pair[2] = {-1, -1}, other = -1;
    uint64_t *mask = place(value("mask", "buf"), sizeof *mask), wanted = number("signals", 1u << (SIGUSR1 - 1));
    if (!value("mask", NULL))
        *mask = wanted;
    if (is("fd", "old"))
        other = (int)syscall(SYS_signalfd4, -1, &(uint64_t){1u << (SIGUSR2 - 1)}, 8, SFD_NONBLOCK);
    else if (is("fd", "pipe"))
        other = pipe(pair) ? -1 : pair[0];
    else
        other = (int)number("fd", -1);
    long a[6] = {other, (long)mask, number("size", 8)};
    // Its symbol has flags.
    long fd = made(SYS_signalfd, NULL, INT, a);
    show_descriptor(fd);
    if (fd >= 0) {
        struct signalfd_siginfo info = {0};
        struct pollfd ready = {(int)fd, POLLIN, 0};
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGUSR1);
        struct timespec none = {0, 0};
        if (ppoll(&ready, 1, &none, NULL) == 1 && read((int)fd, &info, sizeof info) != sizeof info)
            exit(2);
        printf(" gave signal %u", info.ssi_signo);
        show_signals(fd);
        sigtimedwait(&set, NULL, &none);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        close((int)fd);
    }
    if (other != fd && (is("fd", "old") || is("fd", "pipe")))
        close(other);
    close(pair[1]);
}

/* inotify_init limit= */
static void make_inotify_init(void)
{
    struct rlimit old;
    long a[6] = {0};
    limit_files(number("limit", 0), &old);
    long fd = made(SYS_inotify_init, "inotify_init", INT, a);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &old);
    errno = error;
    show_descriptor(fd);
    if (fd >= 0) {
        printf(" watch %d", inotify_add_watch((int)fd, "/", IN_CREATE));
        close((int)fd);
    }
}

/* pipe fds= limit= */
static void make_pipe(void)
{
    struct rlimit old;
    int *fds = place(value("fds", "buf"), 2 * sizeof *fds);
    long a[6] = {(long)fds};
    char byte = 0;
    limit_files(number("limit", 0), &old);
    long result = made(SYS_pipe, "pipe", INT, a);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &old);
    errno = error;
    outcome(result);
    if (result == 0) {
        errno = UNTOUCHED;
        show_descriptor(fds[0]);
        show_descriptor(fds[1]);
        if (write(fds[1], "x", 1) != 1 || read(fds[0], &byte, 1) != 1)
            exit(2);
        printf(" carries %c", byte);
        close(fds[0]);
        close(fds[1]);
    }
}

/* dup2 old= new=: 100 and 101 are open, 100 closes on exec. */
static void make_dup2(void)
{
    int file = memory_file(10, 1, O_RDWR, NULL, 0), null = open("/dev/null", O_RDONLY);
    struct rlimit old, limit = {512, 0};
    struct stat one, other;
    syscall(SYS_dup3, file, 100, O_CLOEXEC);
    syscall(SYS_dup3, null, 101, 0);
    close(file);
    close(null);
    getrlimit(RLIMIT_NOFILE, &old);
    limit.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    long a[6] = {number("old", 100), number("new", 150)};
    long result = made(SYS_dup2, "dup2", INT, a);
    outcome(result);
    setrlimit(RLIMIT_NOFILE, &old);
    if (result >= 0) {
        fstatat((int)result, "", &one, AT_EMPTY_PATH);
        fstatat((int)a[0], "", &other, AT_EMPTY_PATH);
        printf(" flags %x %d, %s", fcntl((int)result, F_GETFL), fcntl((int)result, F_GETFD),
               one.st_ino == other.st_ino ? "the same" : "another");
        if (result > 2)
            close((int)result);
    }
    close(100);
    close(101);
}

/* getdents fd=dir|closed|path|file|pipe|gone size= buf= rounds= */
static void make_getdents(void)
{
    static char folder[64];
    int pair[2] = {-1, -1}, fd;
    if (!*folder) {
        // Names of every length that changes a record's size, and of the largest.
        snprintf(folder, sizeof folder, "/tmp/superseded.%d.names", getpid());
        mkdirat(AT_FDCWD, folder, 0755);
        for (int length = 1; length < 40; length++) {
            char path[400];
            snprintf(path, sizeof path, "%s/%0*d", folder, length == 39 ? 255 : length, length % 10);
            close(openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0600));
        }
    }
    if (is("fd", "closed")) fd = 999;
    else if (is("fd", "path")) fd = openat(AT_FDCWD, folder, O_PATH);
    else if (is("fd", "file")) fd = open("/dev/null", O_RDONLY);
    else if (is("fd", "pipe")) fd = pipe(pair) ? -1 : pair[0];
    else if (is("fd", "gone")) {
        char path[64];
        snprintf(path, sizeof path, "/tmp/superseded.%d.gone", getpid());
        mkdirat(AT_FDCWD, path, 0700);
        fd = openat(AT_FDCWD, path, O_RDONLY);
        unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
    } else fd = openat(AT_FDCWD, folder, O_RDONLY);
    long size = number("size", 512);
    unsigned char *buffer = place(value("buf", "buf"), size > 0 && size < 100000 ? size : 100000);
    int shown = !value("buf", NULL) || !strncmp(value("buf", ""), "edge", 4);
    size_t room = value("buf", NULL) ? strtoul(strchr(value("buf", "buf:0"), ':') ? strchr(value("buf", ""), ':') + 1 : "0", NULL, 0) : (size_t)size;
    if (room > 100000)
        room = 100000;
    for (long round = 0; round < number("rounds", 1); round++) {
        if (shown)
            memset(buffer, FILLING, room);
        long a[6] = {fd, (long)buffer, size};
        long result = made(SYS_getdents, NULL, LONG, a);
        int error = errno;
        outcome(result);
        // Numbers of files are another folder's elsewhere.
        for (long at = 0; shown && at + 20 < result; at += *(unsigned short *)(buffer + at + 16)) {
            printf("%s", *(unsigned long *)(buffer + at) ? "" : " no number");
            memset(buffer + at, 0, 8);
        }
        // Behind the entries too, but where the buffer ends: there the kernel stopped inside one.
        if (shown)
            printf(" bytes %08x", hash(2166136261u, buffer, value("buf", NULL) ? (size_t)(result > 0 ? result : 0) : room));
        if (result > 0 && shown) {
            // The first record, as linux_dirent has it.
            unsigned short length = *(unsigned short *)(buffer + 16);
            printf(" of %u type %d name %s", length, buffer[length - 1], buffer + 18);
        }
        // Where a folder begins has two names after a fault: 0, and what the file system calls its first entry.
        if (result >= 0 || error != EFAULT)
            printf(" at %ld", (long)lseek(fd, 0, SEEK_CUR));
        if (result <= 0)
            break;
    }
    if (fd != 999)
        close(fd);
    close(pair[1]);
}

static void unnamed(void) __attribute__((destructor));
static void unnamed(void)
{
    char folder[64], path[400];
    snprintf(folder, sizeof folder, "/tmp/superseded.%d.names", getpid());
    for (int length = 1; length < 40; length++) {
        snprintf(path, sizeof path, "%s/%0*d", folder, length == 39 ? 255 : length, length % 10);
        unlinkat(AT_FDCWD, path, 0);
    }
    unlinkat(AT_FDCWD, folder, AT_REMOVEDIR);
}

/* getrlimit resource= buf= */
static void make_getrlimit(void)
{
    if (libc_reads("buf"))
        return;
    struct rlimit *limit = place(value("buf", "buf"), sizeof *limit);
    long a[6] = {number("resource", RLIMIT_NOFILE), (long)limit};
    long result = made(SYS_getrlimit, "getrlimit", INT, a);
    outcome(result);
    if (result == 0)
        printf(" %llx %llx", (unsigned long long)limit->rlim_cur, (unsigned long long)limit->rlim_max);
}

/* setrlimit resource= soft= hard= buf=: -2 stands for what it was. In a child: nothing raises a hard limit again. */
static void make_setrlimit(void)
{
    if (libc_reads("buf"))
        return;
    fflush(stdout);
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child) {
        int status;
        if (child < 0 || waitpid((pid_t)child, &status, 0) != child || status)
            exit(2);
        return;
    }
    struct rlimit *limit = place(value("buf", "buf"), sizeof *limit), old = {0, 0}, now = {0, 0};
    int resource = (int)number("resource", RLIMIT_CORE);
    long soft = number("soft", -2), hard = number("hard", -2);
    syscall(SYS_prlimit64, 0, resource, NULL, &old);
    if (!value("buf", NULL)) {
        limit->rlim_cur = soft == -2 ? old.rlim_cur : (rlim_t)soft;
        limit->rlim_max = hard == -2 ? old.rlim_max : (rlim_t)hard;
    }
    long a[6] = {number("resource", RLIMIT_CORE), (long)limit};
    long result = made(SYS_setrlimit, "setrlimit", INT, a);
    int error = errno;
    syscall(SYS_prlimit64, 0, resource, NULL, &now);
    errno = error;
    outcome(result);
    printf(" %llx %llx", (unsigned long long)now.rlim_cur, (unsigned long long)now.rlim_max);
    fflush(stdout);
    _exit(0);
}

const struct call calls[] = {
    {"eventfd", make_eventfd}, {"signalfd", make_signalfd}, {"inotify_init", make_inotify_init}, {"pipe", make_pipe},
    {"dup2", make_dup2}, {"getdents", make_getdents}, {"getrlimit", make_getrlimit}, {"setrlimit", make_setrlimit},
    {NULL, NULL},
};

const char *const checks[] = {
    "eventfd", "eventfd count=7", "eventfd count=4294967295", "eventfd limit=3",
    "signalfd", "signalfd fd=old", "signalfd fd=pipe", "signalfd fd=999", "signalfd size=4", "signalfd signals=0x7fffffff", "signalfd mask=bad", "signalfd mask=edge:7",
    "inotify_init", "inotify_init limit=3",
    "pipe", "pipe fds=bad", "pipe fds=edge:7", "pipe fds=null", "pipe limit=4", "pipe limit=3",
    "dup2", "dup2 new=101", "dup2 new=100", "dup2 old=999", "dup2 old=999 new=999", "dup2 new=512", "dup2 new=-1", "dup2 old=-1 new=-1",
    "getdents rounds=9", "getdents size=100000", "getdents size=24", "getdents size=10", "getdents fd=closed", "getdents fd=path",
    "getdents fd=file", "getdents fd=gone", "getdents size=4000 buf=edge:400", "getdents buf=bad", "getdents buf=ro",
    "getrlimit", "getrlimit resource=3", "getrlimit resource=16", "getrlimit resource=-1 buf=bad", "getrlimit buf=null", "getrlimit buf=edge:15",
    "setrlimit", "setrlimit soft=0", "setrlimit soft=5 hard=4", "setrlimit resource=99", "setrlimit buf=null", "setrlimit resource=99 buf=bad",
    "setrlimit resource=7 hard=-1", NULL,
};
