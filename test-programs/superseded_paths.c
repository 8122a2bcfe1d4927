/* superseded_paths syscall|symbol|ask: old calls on paths, in a small tree of its own that is made anew for each
 * line; see modern.h. A path is a name in the tree, or @null, @bad, @kernel, @empty, @cut:NAME (no NUL before
 * memory that cannot be read), @long:N (a name of N letters), @deep:N (N bytes of "./"). Shown are the result and
 * every name of the tree that has changed. */
#define OLD_CALLS_ARE_CHECKED
#include "modern.h"
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>

static const char *const names[] = {"file", "other", "folder", "folder/inner", "link", "dangling", "loop", "fifo",
                                    "new", "nowhere", "folder/new", "folder/file", NULL};
static char tree[64];

/* Removes all that is in a folder, which is closed. */
static void emptied(int folder)
{
    _Alignas(8) char entries[4096];
    for (long got; (got = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0;)
        for (long at = 0; at < got; at += *(unsigned short *)(entries + at + 16)) {
            const char *name = entries + at + 19;
            if (!strcmp(name, ".") || !strcmp(name, "..") || !unlinkat(folder, name, 0))
                continue;
            emptied(openat(folder, name, O_RDONLY | O_DIRECTORY));
            unlinkat(folder, name, AT_REMOVEDIR);
        }
    close(folder);
}

static void gone(void)
{
    emptied(openat(AT_FDCWD, tree, O_RDONLY));
    unlinkat(AT_FDCWD, tree, AT_REMOVEDIR);
}

/* The tree as it is before each line. */
static void fresh(void)
{
    static const struct timespec stamps[2] = {{1000, 1001}, {2000, 2002}};
    if (!*tree) {
        snprintf(tree, sizeof tree, "/tmp/superseded.%d", getpid());
        if (mkdirat(AT_FDCWD, tree, 0755) || chdir(tree)) {
            perror(tree);
            exit(2);
        }
        atexit(gone);
        umask(022);
    }
    emptied(openat(AT_FDCWD, ".", O_RDONLY));
    int file = openat(AT_FDCWD, "file", O_CREAT | O_WRONLY, 0644);
    if (write(file, "0123456789", 10) != 10)
        exit(2);
    close(file);
    close(openat(AT_FDCWD, "other", O_CREAT | O_WRONLY, 0600));
    mkdirat(AT_FDCWD, "folder", 0755);
    close(openat(AT_FDCWD, "folder/inner", O_CREAT | O_WRONLY, 0444));
    symlinkat("file", AT_FDCWD, "link");
    symlinkat("nowhere", AT_FDCWD, "dangling");
    symlinkat("loop", AT_FDCWD, "loop");
    mknodat(AT_FDCWD, "fifo", S_IFIFO | 0600, 0);
    for (int i = 0; names[i]; i++)
        utimensat(AT_FDCWD, names[i], stamps, AT_SYMLINK_NOFOLLOW);
    utimensat(AT_FDCWD, ".", stamps, 0);
}

static void moment(char *to, size_t room, const struct timespec *at)
{
    if (at->tv_sec > time(NULL) - 100 && at->tv_sec < time(NULL) + 100)
        snprintf(to, room, "now");
    else
        snprintf(to, room, "%lld.%09ld", (long long)at->tv_sec, at->tv_nsec);
}

/* What a name is. */
static void seen(char *to, size_t room, const char *name)
{
    struct stat stat;
    char target[32] = "", access[40], change[40];
    if (fstatat(AT_FDCWD, name, &stat, AT_SYMLINK_NOFOLLOW)) {
        snprintf(to, room, "none");
        return;
    }
    if (S_ISLNK(stat.st_mode) && readlinkat(AT_FDCWD, name, target, sizeof target - 1) < 0)
        exit(2);
    // This look has just read the link.
    if (S_ISLNK(stat.st_mode))
        stat.st_atim.tv_sec = stat.st_atim.tv_nsec = 0;
    moment(access, sizeof access, &stat.st_atim);
    moment(change, sizeof change, &stat.st_mtim);
    snprintf(to, room, "%o x%lu %lld bytes %u:%u %s %s %x %s", stat.st_mode, (unsigned long)stat.st_nlink,
             S_ISDIR(stat.st_mode) ? 0 : (long long)stat.st_size, stat.st_uid, stat.st_gid, access, change,
             (unsigned)stat.st_rdev, target);
}

static char before[16][160];

static void look(void)
{
    for (int i = 0; names[i]; i++)
        seen(before[i], sizeof before[i], names[i]);
}

static void show_changes(void)
{
    char after[160];
    for (int i = 0; names[i]; i++) {
        seen(after, sizeof after, names[i]);
        if (strcmp(after, before[i]))
            printf(", %s now %s", names[i], after);
    }
}

/* A path as the key names it. */
static void *path(const char *key)
{
    const char *text = value(key, "file");
    if (*text != '@')
        return strcpy((char *)edge(strlen(text) + 1), text);
    if (!strcmp(text, "@empty"))
        return memset(edge(1), 0, 1);
    if (!strncmp(text, "@cut:", 5)) {
        text += 5;
        return memcpy(edge(strlen(text)), text, strlen(text));
    }
    if (!strncmp(text, "@long:", 6) || !strncmp(text, "@deep:", 6)) {
        size_t length = strtoul(text + 6, NULL, 0);
        char *at = (char *)edge(length + 1);
        for (size_t i = 0; i < length; i++)
            at[i] = text[1] == 'l' ? 'a' : "./"[i % 2];
        at[length] = 0;
        return at;
    }
    return place(text + 1, 0);
}

/* A call whose result is a number. */
static void plain(long call_number, const char *name, const long *a)
{
    look();
    outcome(made(call_number, name, INT, a));
    show_changes();
}

static void opened(long call_number, const char *name, const long *a)
{
    struct stat stat;
    look();
    long fd = made(call_number, name, INT, a);
    if (fd < 0) {
        outcome(fd);
    } else {
        int flags = fcntl((int)fd, F_GETFL), descriptor_flags = fcntl((int)fd, F_GETFD);
        fstatat((int)fd, "", &stat, AT_EMPTY_PATH);
        printf(" descriptor %ld flags %x %d of %o x%lu", fd, flags, descriptor_flags, stat.st_mode, (unsigned long)stat.st_nlink);
        close((int)fd);
    }
    show_changes();
}

static void make_open(void)
{
    fresh();
    // A FIFO without a writer would wait.
    long a[6] = {(long)path("path"), number("flags", 0) | O_NONBLOCK, number("mode", 0666)};
    opened(SYS_open, NULL, a);
}

static void make_creat(void)
{
    fresh();
    long a[6] = {(long)path("path"), number("mode", 0666)};
    opened(SYS_creat, NULL, a);
}

static void one_path(long call_number, const char *name, long second, long third)
{
    fresh();
    long a[6] = {(long)path("path"), second, third};
    plain(call_number, name, a);
}

static void two_paths(long call_number)
{
    fresh();
    long a[6] = {(long)path("path"), (long)path("to")};
    plain(call_number, NULL, a);
}

static void make_access(void) { one_path(SYS_access, "access", number("mode", 0), 0); }
static void make_mkdir(void) { one_path(SYS_mkdir, NULL, number("mode", 0777), 0); }
static void make_rmdir(void) { one_path(SYS_rmdir, NULL, 0, 0); }
static void make_unlink(void) { one_path(SYS_unlink, NULL, 0, 0); }
static void make_chmod(void) { one_path(SYS_chmod, NULL, number("mode", 0600), 0); }
static void make_chown(void) { one_path(SYS_chown, NULL, number("user", -1), number("group", -1)); }
static void make_lchown(void) { one_path(SYS_lchown, NULL, number("user", -1), number("group", -1)); }
static void make_mknod(void) { one_path(SYS_mknod, NULL, number("mode", 0), number("device", 0)); }
static void make_rename(void) { two_paths(SYS_rename); }
static void make_link(void) { two_paths(SYS_link); }
static void make_symlink(void) { two_paths(SYS_symlink); }

/* The kernel's struct without what differs from tree to tree. */
static void show_stat(long result, void *at)
{
    struct stat copy;
    outcome(result);
    if (result)
        return;
    memcpy(&copy, at, sizeof copy);
    printf(" inode %s", copy.st_ino ? "set" : "0");
    copy.st_ino = 0;
    if (!S_ISREG(copy.st_mode))
        copy.st_dev = 0;
    memset(&copy.st_ctim, 0, sizeof copy.st_ctim);
    memset(&copy.st_atim, 0, sizeof copy.st_atim);
    if (is("fd", "pipe"))
        memset(&copy.st_mtim, 0, sizeof copy.st_mtim);
    copy.st_size = S_ISDIR(copy.st_mode) ? 0 : copy.st_size;
    // Given when the file system comes to it.
    copy.st_blocks = 0;
    printf(" mode %o size %lld bytes %08x", copy.st_mode, (long long)copy.st_size, hash(2166136261u, &copy, sizeof copy));
}

static void stat_path(long call_number)
{
    fresh();
    void *to = place(value("buf", "buf"), sizeof(struct stat));
    long a[6] = {(long)path("path"), (long)to};
    show_stat(made(call_number, NULL, INT, a), to);
}

static void make_stat(void) { stat_path(SYS_stat); }
static void make_lstat(void) { stat_path(SYS_lstat); }

/* fstat fd=file|folder|link (O_PATH)|pipe|closed|NUMBER buf= */
static void make_fstat(void)
{
    int pair[2] = {-1, -1}, fd, opened = 1;
    fresh();
    if (is("fd", "folder")) fd = openat(AT_FDCWD, "folder", O_RDONLY);
    else if (is("fd", "link")) fd = openat(AT_FDCWD, "link", O_PATH | O_NOFOLLOW);
    else if (is("fd", "pipe")) fd = pipe(pair) ? -1 : pair[0];
    else if (value("fd", NULL) && !is("fd", "file")) fd = (int)number("fd", opened = 0);
    else fd = openat(AT_FDCWD, "file", O_RDONLY);
    void *to = place(value("buf", "buf"), sizeof(struct stat));
    long a[6] = {fd, (long)to};
    show_stat(made(SYS_fstat, NULL, INT, a), to);
    if (opened)
        close(fd);
    close(pair[1]);
}

/* readlink path= size= buf= */
static void make_readlink(void)
{
    fresh();
    unsigned char *to = place(value("buf", "buf"), 40);
    long a[6] = {(long)path("path"), (long)to, number("size", 40)};
    long result = made(SYS_readlink, NULL, INT, a);
    outcome(result);
    if (result > 0 && result <= 40 && !value("buf", NULL))
        printf(" bytes %08x", hash(2166136261u, to, 40));
    show_changes();
}

/* A time, or a pair of them, of COUNT numbers: times=N,N... or a place. */
static void *times_of(int count)
{
    const char *text = value("times", "null");
    if (*text != '-' && (*text < '0' || *text > '9'))
        return place(text, count * sizeof(long));
    long *at = (long *)edge(count * sizeof *at);
    for (int i = 0; i < count; i++) {
        at[i] = strtol(text, (char **)&text, 0);
        text += *text == ',';
    }
    return at;
}

static void make_utime(void)
{
    if (libc_reads("times"))
        return;
    fresh();
    long a[6] = {(long)path("path"), (long)times_of(2)};
    plain(SYS_utime, "utime", a);
}

static void make_utimes(void)
{
    if (libc_reads("times"))
        return;
    fresh();
    long a[6] = {(long)path("path"), (long)times_of(4)};
    plain(SYS_utimes, "utimes", a);
}

/* futimesat fd=here|folder|file|closed path= times= */
static void make_futimesat(void)
{
    if (libc_reads("times"))
        return;
    int fd = AT_FDCWD;
    fresh();
    if (is("fd", "folder") || is("fd", "file"))
        fd = openat(AT_FDCWD, value("fd", ""), O_RDONLY);
    else if (is("fd", "closed"))
        fd = 999;
    long a[6] = {fd, (long)path("path"), (long)times_of(4)};
    plain(SYS_futimesat, "futimesat", a);
    if (fd >= 0 && fd != 999)
        close(fd);
}

const struct call calls[] = {
    {"open", make_open}, {"creat", make_creat}, {"access", make_access}, {"stat", make_stat}, {"lstat", make_lstat},
    {"fstat", make_fstat}, {"mkdir", make_mkdir}, {"rmdir", make_rmdir}, {"unlink", make_unlink},
    {"rename", make_rename}, {"link", make_link}, {"symlink", make_symlink}, {"readlink", make_readlink},
    {"chmod", make_chmod}, {"chown", make_chown}, {"lchown", make_lchown}, {"mknod", make_mknod},
    {"utime", make_utime}, {"utimes", make_utimes}, {"futimesat", make_futimesat}, {NULL, NULL},
};

const char *const checks[] = {
    "open", "open path=new flags=0x41 mode=0640", "open path=folder flags=0x10000", "open path=nowhere", "open path=@bad",
    "open path=link flags=0x20000", "open path=dangling flags=0x41", "open path=file flags=0x80001",
    "creat path=new mode=0611", "creat path=file", "creat path=folder", "creat path=@empty",
    "access", "access path=folder mode=5", "access path=nowhere", "access path=file mode=1", "access mode=8", "access path=@null",
    "stat", "stat path=link", "stat path=dangling", "stat path=folder", "stat buf=bad", "stat path=@kernel",
    "lstat", "lstat path=link", "lstat path=dangling", "lstat path=loop/x", "lstat buf=ro",
    "fstat", "fstat fd=folder", "fstat fd=link", "fstat fd=pipe", "fstat fd=-1", "fstat fd=-100", "fstat fd=999", "fstat buf=null",
    "mkdir path=new", "mkdir path=new mode=0", "mkdir path=folder", "mkdir path=nowhere/new", "mkdir path=@long:256",
    "rmdir path=folder", "rmdir path=file", "rmdir path=.", "rmdir path=@bad",
    "unlink path=file", "unlink path=folder", "unlink path=link", "unlink path=nowhere", "unlink path=folder/inner",
    "rename path=file to=new", "rename path=file to=folder", "rename path=folder to=folder/new", "rename path=nowhere to=new",
    "rename path=file to=other", "rename path=@null to=new", "rename path=file to=@bad",
    "link path=file to=new", "link path=link to=new", "link path=folder to=new", "link path=file to=other",
    "symlink path=anything to=new", "symlink path=@empty to=new", "symlink path=x to=file", "symlink path=x to=@bad",
    "readlink path=link", "readlink path=link size=2", "readlink path=file", "readlink path=link size=0", "readlink path=@empty",
    "readlink path=link buf=bad",
    "chmod path=file mode=04755", "chmod path=link mode=0", "chmod path=dangling", "chmod path=folder mode=01777",
    "chown path=file user=1 group=2", "chown path=link user=3", "chown path=nowhere", "chown path=@bad",
    "lchown path=link user=1 group=2", "lchown path=dangling group=5", "lchown path=nowhere",
    "mknod path=new mode=0100644", "mknod path=new mode=010600", "mknod path=new mode=040755", "mknod path=file", "mknod path=@null",
    "utime", "utime times=5,6", "utime path=nowhere times=1,2", "utime times=bad", "utime path=@bad times=bad",
    "utimes", "utimes times=5,999999,6,1", "utimes times=5,1000000,6,1", "utimes times=edge:31", "utimes path=link times=1,2,3,4",
    "futimesat times=5,6,7,8", "futimesat fd=folder path=inner times=1,2,3,4", "futimesat fd=file path=@null times=9,9,9,9",
    "futimesat fd=closed path=@null", "futimesat fd=closed path=file times=5,-1,6,1", NULL,
};
