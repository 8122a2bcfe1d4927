/* modern_files syscall|symbol: calls on paths and attributes that kernels got since 2.6.22, a line a check:
 * `CALL what was done: what came of it`. By syscall(), or by libc's symbol where there is one. Works in a folder of
 * its own under $TMPDIR or /tmp. Numbers are given by hand: the machine's headers may be older. */
#include "modern_files.h"

/* ---- statx ---- */

struct sx { uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, pad; uint64_t ino, size, blocks, known;
    struct { int64_t sec; uint32_t nsec; int32_t pad; } atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor; uint64_t rest[14]; };

static long do_statx(int fd, const void *path, int flags, unsigned mask, void *to)
{
    return call(STATX, "statx", fd, A(path), flags, mask, A(to), 0);
}

static void statx_of(const char *what, int fd, const char *path, int flags)
{
    struct sx x;
    struct stat s;
    memset(&x, 0xa5, sizeof x);
    long result = do_statx(fd, path, flags, 0x7ff, &x);
    if (result) {
        line("statx %s: %s", what, outcome(result));
        return;
    }
    must(!fstatat(fd, path ? path : "", &s, flags & (NOFOLLOW | EMPTY)), what);
    int same = x.blksize == s.st_blksize && x.nlink == s.st_nlink && x.uid == s.st_uid && x.gid == s.st_gid &&
               x.mode == s.st_mode && x.ino == s.st_ino && x.size == (uint64_t)s.st_size && x.blocks == (uint64_t)s.st_blocks;
    int times = x.atime.sec == s.st_atim.tv_sec && x.atime.nsec == s.st_atim.tv_nsec && x.mtime.sec == s.st_mtim.tv_sec &&
                x.mtime.nsec == s.st_mtim.tv_nsec && x.ctime.sec == s.st_ctim.tv_sec && x.ctime.nsec == s.st_ctim.tv_nsec;
    int devices = makedev(x.dev_major, x.dev_minor) == s.st_dev && makedev(x.rdev_major, x.rdev_minor) == s.st_rdev;
    line("statx %s: mask %x mode %o links %u size %lu rdev %u:%u as stat %d times %d devices %d", what, x.mask & 0x7ff, x.mode,
         x.nlink, S_ISDIR(x.mode) ? 0 : (unsigned long)x.size, x.rdev_major, x.rdev_minor, same, times, devices);
}

static void statx_lines(void)
{
    struct sx x;
    int folder = open("folder", O_RDONLY | O_DIRECTORY), file = open("file", O_RDONLY), path = open("link", O_PATH | O_NOFOLLOW);
    int pipes[2];
    must(!pipe(pipes), "pipe");
    statx_of("of a file", AT_FDCWD, "file", 0);
    statx_of("of a folder", AT_FDCWD, "folder", 0);
    statx_of("of a link", AT_FDCWD, "link", NOFOLLOW);
    statx_of("through a link", AT_FDCWD, "link", 0);
    statx_of("of a fifo", AT_FDCWD, "fifo", 0);
    statx_of("of a socket", AT_FDCWD, "socket", 0);
    statx_of("of a hard link", AT_FDCWD, "hard", 0);
    statx_of("of /dev/null", AT_FDCWD, "/dev/null", 0);
    statx_of("of /proc/self/exe itself", AT_FDCWD, "/proc/self/exe", NOFOLLOW);
    statx_of("below a folder", folder, "below", 0);
    statx_of("below a folder, no automount, no sync", folder, "below", 0x800 | 0x4000);
    statx_of("below a folder, forced sync", folder, "below", 0x2000);
    statx_of("of a descriptor", file, "", EMPTY);
    statx_of("of a descriptor and NULL", file, NULL, EMPTY);
    statx_of("of a pipe's descriptor", pipes[0], "", EMPTY);
    statx_of("of an O_PATH link", path, "", EMPTY);
    statx_of("of the working folder", AT_FDCWD, "", EMPTY);
    statx_of("of a path though AT_EMPTY_PATH", folder, "below", EMPTY);
    statx_of("of a dangling link", AT_FDCWD, "dangling", 0);
    statx_of("of a loop", AT_FDCWD, "loop", 0);
    statx_of("below a file", AT_FDCWD, "file/x", 0);
    statx_of("below a file's descriptor", file, "x", 0);
    statx_of("below a closed descriptor", CLOSED, "x", 0);
    statx_of("absolute, closed descriptor", CLOSED, "/dev/null", 0);
    statx_of("of a closed descriptor", CLOSED, "", EMPTY);
    statx_of("of descriptor -5", -5, "", EMPTY);
    statx_of("of an empty path", AT_FDCWD, "", 0);
    statx_of("of a long name", AT_FDCWD, long_name, 0);
    statx_of("of a long path", AT_FDCWD, long_path, 0);
    line("statx bad path: %s", outcome(do_statx(AT_FDCWD, BAD, 0, 0x7ff, &x)));
    line("statx NULL path: %s", outcome(do_statx(AT_FDCWD, NULL, 0, 0x7ff, &x)));
    line("statx bad path, empty allowed: %s", outcome(do_statx(file, BAD, EMPTY, 0x7ff, &x)));
    line("statx bad buffer: %s", outcome(do_statx(AT_FDCWD, "file", 0, 0x7ff, BAD)));
    line("statx read-only buffer: %s", outcome(do_statx(AT_FDCWD, "file", 0, 0x7ff, read_only)));
    line("statx reserved mask: %s", outcome(do_statx(AT_FDCWD, BAD, 0, 0x80000000, &x)));
    line("statx both sync bits: %s", outcome(do_statx(AT_FDCWD, BAD, 0x6000, 0, &x)));
    line("statx unknown flag: %s", outcome(do_statx(AT_FDCWD, BAD, 0x200, 0x7ff, &x)));
    line("statx unknown high flag: %s", outcome(do_statx(AT_FDCWD, "file", 1 << 30, 0x7ff, &x)));
    memset(&x, 0xa5, sizeof x);
    long result = do_statx(AT_FDCWD, "file", 0, 0, &x);
    line("statx empty mask: %s mode %o rest %lx", outcome(result), x.mode, x.rest[13]);
    close(folder), close(file), close(path), close(pipes[0]), close(pipes[1]);
}

/* ---- faccessat2 ---- */

static long access2(int fd, const void *path, int mode, int flags)
{
    return call(FACCESSAT2, "faccessat", fd, A(path), mode, flags, 0, 0);
}

static void access_lines(const char *who)
{
    static const char *const paths[] = {"file", "folder", "run", "none", "link", "dangling", "loop", "fifo", "socket", "closed/secret", "nothing"};
    static const int flags[] = {0, EACCESS, NOFOLLOW, NOFOLLOW | EACCESS, EMPTY, EMPTY | EACCESS};
    for (size_t p = 0; p < sizeof paths / sizeof *paths; p++)
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) {
            printf("faccessat2 %s of %s with flags %x: ", who, paths[p], flags[f]);
            for (int mode = 0; mode < 8; mode++)
                printf("%s ", outcome(access2(AT_FDCWD, paths[p], mode, flags[f])));
            line("");
        }
    for (int eff = 0; eff < 2; eff++) {
        int fd = open("run", O_PATH), link = open("link", O_PATH | O_NOFOLLOW);
        int flags = EMPTY | (eff ? EACCESS : 0);
        line("faccessat2 %s %d of O_PATH descriptors: %s %s %s", who, eff, outcome(access2(fd, "", X_OK, flags)),
             outcome(access2(fd, "", W_OK, flags)), outcome(access2(link, "", 7, flags)));
        line("faccessat2 %s %d of the working folder: %s", who, eff, outcome(access2(AT_FDCWD, "", X_OK | R_OK, flags)));
        line("faccessat2 %s %d of closed descriptors: %s %s %s", who, eff, outcome(access2(CLOSED, "", 0, flags)),
             outcome(access2(CLOSED, "x", 0, flags)), outcome(access2(-5, "", 4, flags)));
        line("faccessat2 %s %d of /sys/kernel for writing: %s", who, eff, outcome(access2(AT_FDCWD, "/sys/kernel", W_OK, flags)));
        close(fd), close(link);
    }
    if (by_symbol) {
        int (*effective)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_DEFAULT, "euidaccess");
        int (*shorter)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_DEFAULT, "eaccess");
        line("faccessat2 %s euidaccess: %s %s %s", who, outcome(effective("file", W_OK)), outcome(effective("run", X_OK)), outcome(effective("nothing", 0)));
        line("faccessat2 %s eaccess: %s %s %s", who, outcome(shorter("file", W_OK)), outcome(shorter("closed", R_OK)), outcome(shorter(BAD, 0)));
    }
}

/* The same as somebody else, in a child. Needs root. */
static void access_as(const char *who, uid_t real, uid_t effective)
{
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        gid_t group = 4321;
        if (syscall(SYS_setgroups, 1, &group) || syscall(SYS_setresgid, real, effective, effective) || syscall(SYS_setresuid, real, effective, effective))
            line("faccessat2 %s: not root", who);
        else
            access_lines(who);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void faccessat2_lines(void)
{
    access_lines("as I am");
    access_as("as nobody", 65534, 65534);
    access_as("nobody by right of root", 65534, 0);
    access_as("root as nobody", 0, 65534);
    must(!chown("none", 0, 4321) && !chmod("none", 0070), "chown");
    access_as("in a group", 65534, 65533);
    must(!chmod("none", 0) && !chown("none", 0, 0), "chown");
    line("faccessat2 odd mode: %s %s", outcome(access2(AT_FDCWD, BAD, 8, 0)), outcome(access2(AT_FDCWD, "file", -1, 0)));
    line("faccessat2 odd flags: %s %s", outcome(access2(AT_FDCWD, BAD, 0, 0x400)), outcome(access2(AT_FDCWD, "file", 0, 1)));
    line("faccessat2 bad paths: %s %s %s %s", outcome(access2(AT_FDCWD, BAD, 0, 0)), outcome(access2(AT_FDCWD, NULL, 0, EMPTY)),
         outcome(access2(AT_FDCWD, BAD, 0, NOFOLLOW)), outcome(access2(AT_FDCWD, BAD, 0, EACCESS)));
    line("faccessat2 empty and long: %s %s %s %s", outcome(access2(AT_FDCWD, "", 0, 0)), outcome(access2(AT_FDCWD, "", 0, NOFOLLOW)),
         outcome(access2(AT_FDCWD, long_name, 0, NOFOLLOW)), outcome(access2(AT_FDCWD, long_path, 0, EACCESS)));
}

/* ---- fchmodat2 ---- */

static void chmod_of(const char *what, int fd, const void *path, unsigned mode, int flags, const char *look)
{
    struct stat s = {0};
    long result = call(FCHMODAT2, "fchmodat", fd, A(path), mode, flags, 0, 0);
    if (look)
        must(!lstat(look, &s), look);
    line("fchmodat2 %s: %s mode %o", what, outcome(result), s.st_mode);
}

static void fchmodat2_lines(void)
{
    int folder = open("folder", O_RDONLY | O_DIRECTORY), file = open("file", O_RDONLY), path = open("file", O_PATH);
    int link = open("link", O_PATH | O_NOFOLLOW);
    chmod_of("plain", AT_FDCWD, "file", 0640, 0, "file");
    chmod_of("through a link", AT_FDCWD, "link", 0604, 0, "file");
    chmod_of("of a file, no following", AT_FDCWD, "file", 0600, NOFOLLOW, "file");
    chmod_of("setuid, no following", AT_FDCWD, "file", 06755, NOFOLLOW, "file");
    chmod_of("more bits than there are", AT_FDCWD, "file", 0170644, NOFOLLOW, "file");
    chmod_of("of a folder, sticky, no following", AT_FDCWD, "folder", 01777, NOFOLLOW, "folder");
    chmod_of("below a folder, no following", folder, "below", 0600, NOFOLLOW, "folder/below");
    chmod_of("of a fifo, no following", AT_FDCWD, "fifo", 0600, NOFOLLOW, "fifo");
    chmod_of("of a link", AT_FDCWD, "link", 0600, NOFOLLOW, "link");
    chmod_of("of a dangling link", AT_FDCWD, "dangling", 0600, NOFOLLOW, "dangling");
    chmod_of("through a dangling link", AT_FDCWD, "dangling", 0600, 0, "dangling");
    if (!by_symbol) { /* glibc before 2.39 knows no AT_EMPTY_PATH here */
        chmod_of("of a descriptor", file, "", 0611, EMPTY, "file");
        chmod_of("of an O_PATH descriptor", path, "", 0622, EMPTY, "file");
        chmod_of("of an O_PATH link", link, "", 0622, EMPTY, "link");
        chmod_of("of a descriptor, no following", file, "", 0633, EMPTY | NOFOLLOW, "file");
        chmod_of("of the working folder", AT_FDCWD, "", 0710, EMPTY, ".");
        chmod_of("of a path though AT_EMPTY_PATH", folder, "below", 0640, EMPTY, "folder/below");
        chmod_of("of a closed descriptor", CLOSED, "", 0600, EMPTY, NULL);
        chmod_of("of a bad path, empty allowed", file, BAD, 0600, EMPTY, NULL);
        chmod_of("of NULL, empty allowed", file, NULL, 0600, EMPTY, NULL);
    }
    chmod_of("bad path", AT_FDCWD, BAD, 0600, NOFOLLOW, NULL);
    chmod_of("empty path", AT_FDCWD, "", 0600, NOFOLLOW, NULL);
    chmod_of("long path", AT_FDCWD, long_path, 0600, NOFOLLOW, NULL);
    chmod_of("nothing there", AT_FDCWD, "nothing", 0600, NOFOLLOW, NULL);
    chmod_of("below a file", file, "x", 0600, NOFOLLOW, NULL);
    chmod_of("closed descriptor", CLOSED, "file", 0600, NOFOLLOW, NULL);
    chmod_of("unknown flag", AT_FDCWD, BAD, 0600, 0x200, NULL);
    chmod_of("unknown flags", AT_FDCWD, "file", 0600, -1, NULL);
    close(folder), close(file), close(path), close(link);
    must(!chmod("file", 0644) && !chmod("folder", 0755), "chmod");
}

/* ---- renameat2 ---- */

static void rename_of(const char *what, const char *old, const char *new, unsigned flags)
{
    char had[32] = "", has[32] = "";
    int fd = open(old, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    if (fd >= 0 && read(fd, had, 31) >= 0)
        close(fd);
    long result = call(RENAMEAT2, "renameat2", AT_FDCWD, A(old), AT_FDCWD, A(new), flags, 0);
    const char *outcome_ = outcome(result);
    fd = open(new, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    if (fd >= 0 && read(fd, has, 31) >= 0)
        close(fd);
    struct stat s;
    line("renameat2 %s: %s old there %d, new has it %d", what, outcome_, !lstat(old, &s), !strcmp(had, has));
}

static void renameat2_lines(void)
{
    make("a", "a\n", 0644), make("b", "b\n", 0644);
    must(!mkdir("empty", 0755), "empty");
    rename_of("no flags", "a", "c", 0);
    rename_of("no replace, free", "c", "d", 1);
    rename_of("no replace, taken", "d", "b", 1);
    rename_of("no replace, taken by a dangling link", "d", "dangling", 1);
    rename_of("no replace, itself", "d", "d", 1);
    rename_of("no replace, missing", "nothing", "e", 1);
    rename_of("no replace, missing folder", "d", "nothing/e", 1);
    rename_of("no replace, into a folder", "d", "empty/d", 1);
    rename_of("no replace, out of a folder", "empty/d", "d", 1);
    rename_of("no replace, other device", "d", "/dev/shm/evercall-d", 1);
    rename_of("no replace, below a file", "d", "b/e", 1);
    rename_of("no replace, folder onto folder", "folder", "empty", 1);
    rename_of("no replace, a folder", "empty", "moved", 1);
    must(!symlink("b", "s"), "symlink");
    rename_of("no replace, a link", "s", "t", 1);
    char to[64] = "";
    must(readlink("t", to, 63) > 0, "readlink");
    line("renameat2 the link moved: %s", to);
    rename_of("exchange", "d", "b", 2);
    rename_of("exchange with nothing", "d", "nothing", 2);
    rename_of("exchange of nothing", "nothing", "d", 2);
    rename_of("exchange, no replace", "d", "b", 3);
    rename_of("exchange, whiteout", "d", "b", 6);
    rename_of("unknown flag", "d", "b", 8);
    rename_of("unknown flags", "d", "b", -1);
    const int flags[] = {0, 1, 2, 8};
    for (int f = 0; f < 4; f++)
        line("renameat2 bad pointers, flags %d: %s %s", flags[f], outcome(call(RENAMEAT2, "renameat2", AT_FDCWD, A(BAD), AT_FDCWD, A("e"), flags[f], 0)),
             outcome(call(RENAMEAT2, "renameat2", AT_FDCWD, A("d"), AT_FDCWD, A(BAD), flags[f], 0)));
    line("renameat2 closed descriptors: %s %s", outcome(call(RENAMEAT2, "renameat2", CLOSED, A("d"), AT_FDCWD, A("e"), 1, 0)),
         outcome(call(RENAMEAT2, "renameat2", AT_FDCWD, A("d"), CLOSED, A("e"), 1, 0)));
    line("renameat2 long and empty: %s %s %s", outcome(call(RENAMEAT2, "renameat2", AT_FDCWD, A(long_path), AT_FDCWD, A("e"), 1, 0)),
         outcome(call(RENAMEAT2, "renameat2", AT_FDCWD, A("d"), AT_FDCWD, A(long_name), 1, 0)),
         outcome(call(RENAMEAT2, "renameat2", AT_FDCWD, A("d"), AT_FDCWD, A(""), 1, 0)));
}

/* ---- utimensat ---- */

static void times_of(const char *what, int fd, const void *path, const struct timespec *times, int flags, const char *look)
{
    struct stat s = {0};
    /* By the older call, which follows links. */
    if (look && !lstat(look, &s) && !S_ISLNK(s.st_mode))
        must(!syscall(SYS_utimes, look, (struct timeval[2]){{1000, 5}, {2000, 6}}), look);
    long result = call(UTIMENSAT, "utimensat", fd, A(path), A(times), flags, 0, 0);
    const char *came = outcome(result);
    if (look)
        must(!lstat(look, &s), look);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec - s.st_atime < 60) s.st_atim = (struct timespec){-1, 0};
    if (now.tv_sec - s.st_mtime < 60) s.st_mtim = (struct timespec){-1, 0};
    line("utimensat %s: %s %ld.%09ld %ld.%09ld", what, came, s.st_atim.tv_sec, s.st_atim.tv_nsec, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

static void utimensat_lines(void)
{
    int folder = open("folder", O_RDONLY | O_DIRECTORY), file = open("file", O_RDONLY), path = open("file", O_PATH);
    const struct timespec some[2] = {{123456, 789000}, {-5, 999999000}}, fine[2] = {{1, 1}, {2, 999}};
    const struct timespec now[2] = {{7, UTIME_NOW}, {7, UTIME_NOW}}, omit[2] = {{7, UTIME_OMIT}, {7, UTIME_OMIT}};
    const struct timespec first[2] = {{9, 9000}, {7, UTIME_OMIT}}, second[2] = {{7, UTIME_OMIT}, {9, 9000}}, mixed[2] = {{0, UTIME_NOW}, {9, 9000}};
    const struct timespec both[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}}, odd[2] = {{1, 1000000000}, {1, 0}}, under[2] = {{1, 0}, {1, -1}};
    times_of("of a file", AT_FDCWD, "file", some, 0, "file");
    times_of("of a folder", AT_FDCWD, "folder", some, 0, "folder");
    times_of("through a link", AT_FDCWD, "link", some, 0, "file");
    times_of("below a folder", folder, "below", some, 0, "folder/below");
    times_of("in nanoseconds", AT_FDCWD, "file", fine, 0, "file");
    times_of("now", AT_FDCWD, "file", NULL, 0, "file");
    times_of("now by UTIME_NOW", AT_FDCWD, "file", now, 0, "file");
    times_of("omit both", AT_FDCWD, "file", omit, 0, "file");
    times_of("omit both of nothing, odd flags", CLOSED, BAD, omit, -1, NULL);
    times_of("omit the second", AT_FDCWD, "file", first, 0, "file");
    times_of("omit the first", AT_FDCWD, "file", second, 0, "file");
    times_of("now and set", AT_FDCWD, "file", mixed, 0, "file");
    times_of("now and omit", AT_FDCWD, "file", both, 0, "file");
    times_of("too many nanoseconds", AT_FDCWD, "file", odd, 0, "file");
    times_of("negative nanoseconds", AT_FDCWD, "file", under, 0, "file");
    times_of("too many nanoseconds of nothing", AT_FDCWD, "nothing", odd, 0, NULL);
    times_of("no following a file", AT_FDCWD, "file", some, NOFOLLOW, "file");
    times_of("no following a folder, below one", folder, "inner", some, NOFOLLOW, "folder/inner");
    times_of("no following nothing", AT_FDCWD, "nothing", some, NOFOLLOW, NULL);
    times_of("of a link", AT_FDCWD, "link", some, NOFOLLOW, "link");
    times_of("of a descriptor by empty path", file, "", some, EMPTY, "file");
    times_of("of an O_PATH descriptor", path, "", some, EMPTY, "file");
    times_of("of the working folder", AT_FDCWD, "", some, EMPTY, ".");
    times_of("of a closed descriptor by empty path", CLOSED, "", some, EMPTY, NULL);
    times_of("bad times", AT_FDCWD, "file", BAD, 0, "file");
    times_of("bad times and path", AT_FDCWD, BAD, BAD, -1, NULL);
    times_of("bad path", AT_FDCWD, BAD, some, 0, NULL);
    times_of("unknown flag", AT_FDCWD, BAD, some, 1, NULL);
    times_of("empty path", AT_FDCWD, "", some, 0, NULL);
    times_of("long path", AT_FDCWD, long_path, some, 0, NULL);
    times_of("below a file", file, "x", some, 0, NULL);
    times_of("closed descriptor", CLOSED, "x", some, 0, NULL);
    if (by_symbol) { /* libc keeps NULL for futimens */
        int (*of_descriptor)(int, const struct timespec *) = (int (*)(int, const struct timespec *))dlsym(RTLD_DEFAULT, "futimens");
        struct stat s;
        line("utimensat futimens: %s %s %s", outcome(of_descriptor(file, some)), outcome(of_descriptor(CLOSED, some)), outcome(of_descriptor(file, odd)));
        must(!fstat(file, &s), "fstat");
        line("utimensat futimens set: %ld.%09ld %ld.%09ld", s.st_atim.tv_sec, s.st_atim.tv_nsec, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    } else {
        times_of("of a descriptor", file, NULL, some, 0, "file");
        times_of("of an O_PATH descriptor and NULL", path, NULL, some, 0, "file");
        times_of("of a descriptor now", file, NULL, NULL, 0, "file");
        times_of("of a descriptor, flags", file, NULL, some, NOFOLLOW, "file");
        times_of("of a closed descriptor", CLOSED, NULL, some, 0, NULL);
        times_of("of a closed descriptor, odd nanoseconds", CLOSED, NULL, odd, 0, NULL);
        times_of("of NULL", AT_FDCWD, NULL, some, 0, NULL);
    }
    close(folder), close(file), close(path);
}

/* ---- memfd_create ---- */

static void memfd_of(const char *what, const void *name, unsigned flags)
{
    mode_t mask = umask(077);
    long fd = call(MEMFD_CREATE, "memfd_create", A(name), flags, 0, 0, 0, 0);
    umask(mask);
    if (fd < 0) {
        line("memfd_create %s: %s", what, outcome(fd));
        return;
    }
    struct stat s;
    char text[8] = "";
    must(!fstat(fd, &s), "fstat");
    int flags_now = fcntl(fd, F_GETFL), close_on = fcntl(fd, F_GETFD);
    int wrote = write(fd, "memory", 6), cut = ftruncate(fd, 9000), got = pread(fd, text, 7, 0);
    char *map = mmap(NULL, 9000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(map != MAP_FAILED, "mmap");
    map[8999] = 'x';
    char last;
    line("memfd_create %s: mode %o links %lu size %ld flags %x %x wrote %d cut %d read %d %.6s map %d seals %d", what, s.st_mode, (unsigned long)s.st_nlink,
         (long)s.st_size, flags_now, close_on, wrote, cut, got, text, pread(fd, &last, 1, 8999) == 1 && last == 'x', fcntl(fd, F_GET_SEALS));
    munmap(map, 9000);
    close(fd);
}

static void memfd_lines(void)
{
    static char longest[260];
    memset(longest, 'n', 249);
    memfd_of("plain", "name", 0);
    memfd_of("close on exec", "name", 1);
    memfd_of("empty name", "", 1);
    memfd_of("name with slashes", "../x/y", 0);
    memfd_of("to be executed", "name", 0x10);
    memfd_of("longest name", longest, 0);
    longest[249] = 'n';
    memfd_of("name too long", longest, 0);
    memfd_of("NULL name", NULL, 0);
    memfd_of("bad name", BAD, 2);
    memfd_of("unknown flag", BAD, 0x20);
    memfd_of("huge size without huge", "name", 21 << 26);
    memfd_of("executed and not", "name", 0x18);
    memfd_of("all flags", "name", -1);
    memfd_of("with seals", "name", 3);
    memfd_of("never to be executed", "name", 8);
}

static void checks(void)
{
    statx_lines();
    faccessat2_lines();
    fchmodat2_lines();
    renameat2_lines();
    utimensat_lines();
    memfd_lines();
}

int main(int argc, char **argv)
{
    return in_tree(argc, argv, checks);
}
