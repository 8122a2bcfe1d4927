/* modern_openat2 syscall|symbol: openat2(2) over a tree of links, a line a check: `openat2 what was done: what came of
 * it`. Works in a folder of its own under $TMPDIR or /tmp. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPENAT2 = 437, CLOSED = 999, LARGE = 0100000 };
#define BAD ((void *)0x12345000)

struct how { uint64_t flags, mode, resolve; };

static int by_symbol;
static char root[PATH_MAX];
static int hidden; /* flags of F_GETFL that are not shown */

static void must(int holds, const char *what)
{
    if (!holds) {
        printf("modern_openat2: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static long openat2(int fd, const void *path, const void *how, size_t size)
{
    int (*found)(int, const void *, const void *, size_t) = by_symbol ? (int (*)(int, const void *, const void *, size_t))dlsym(RTLD_DEFAULT, "openat2") : NULL;
    errno = 0;
    return found ? found(fd, path, how, size) : (int)syscall(OPENAT2, fd, path, how, size);
}

/* What a descriptor is: its path from the test's folder on, and its flags. */
static const char *what_is(long fd)
{
    static char text[PATH_MAX + 64];
    char link[64], path[PATH_MAX + 8] = "";
    if (fd < 0)
        return strerrorname_np(errno) ? strerrorname_np(errno) : "no errno";
    snprintf(link, sizeof link, "/proc/self/fd/%ld", fd);
    must(readlink(link, path, PATH_MAX) > 0, "readlink");
    size_t length = strlen(root);
    const char *from = !strncmp(path, root, length) ? path + length : path;
    if (strchr(path, '#'))
        from = "(no name)";
    char pid[16];
    size_t digits = snprintf(pid, sizeof pid, "%d", getpid());
    for (char *at; (at = strstr(path, pid));)
        memmove(at + 3, at + digits, strlen(at + digits) + 1), memcpy(at, "PID", 3);
    snprintf(text, sizeof text, "%.200s %x %x", from, fcntl(fd, F_GETFL) & ~hidden, fcntl(fd, F_GETFD));
    close(fd);
    return text;
}

static void line(const char *what, const char *came)
{
    printf("openat2 %s: %s\n", what, came);
    fflush(stdout);
}

static void open_of(const char *what, int fd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct how how = {flags, mode, resolve};
    hidden = resolve && flags & O_CREAT ? O_NOFOLLOW : 0; /* the rule's stated difference */
    line(what, what_is(openat2(fd, path, &how, sizeof how)));
}

static void make(const char *path, int mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, path, strlen(path)) > 0 && !fchmod(fd, mode), path);
    close(fd);
}

static void tree(void)
{
    must(!mkdir("top", 0755) && !mkdir("top/in", 0755) && !mkdir("top/in/deep", 0755) && !mkdir("top/shut", 0000) && !mkdir("beside", 0755), "mkdir");
    make("outside", 0644), make("top/file", 0644), make("top/in/file", 0644), make("top/in/deep/file", 0600);
    must(!mkfifo("top/fifo", 0600), "mkfifo");
    static const char *const links[][2] = {
        {"file", "top/link"}, {"in", "top/to-in"}, {"in/", "top/to-in-slash"}, {"../outside", "top/out"}, {"in/../file", "top/around"}, {"/file", "top/rooted"},
        {"/", "top/slash"}, {"..", "top/in/up"}, {"../..", "top/in/deep/upup"}, {"in/up/../beside", "top/past"}, {"nowhere", "top/dangling"}, {"loop", "top/loop"},
        {"made", "top/makes"}, {"in/deep/upup/in/up/link", "top/long-way"}, {".", "top/dot"}, {"//in//deep//file", "top/slashes"}, {"/proc/self/fd/0", "top/magic"},
        {"/proc/self", "top/proc-self"}, {"../../../../../../../../etc/passwd", "top/etc"}, {"/dev/null", "top/device"},
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        must(!symlink(links[i][0], links[i][1]), links[i][1]);
    char from[32], to[32] = "file";
    for (int i = 0; i < 42; i++, strcpy(to, strrchr(from, '/') + 1)) {
        snprintf(from, sizeof from, "top/chain%d", i);
        must(!symlink(to, from), from);
    }
}

static void resolve_lines(int top)
{
    static const uint64_t resolves[] = {0, 1, 2, 4, 8, 0x10, 9, 0xb, 0xc, 0x12, 0x14, 0x11, 7, 0x0f, 0x17};
    static const char *const paths[] = {
        "file", "in/file", "in/deep/file", "./file", "in/./deep/../file", "../outside", "in/../../outside", "..", ".", "in/..", "in/../..", "/", "//", "/file", "/in/deep/file",
        "/../file", "link", "to-in", "to-in/", "to-in/file", "to-in-slash", "to-in-slash/deep", "out", "around", "rooted", "slash", "slash/file", "in/up", "in/up/file",
        "in/deep/upup", "in/deep/upup/file", "past", "dangling", "loop", "loop/x", "long-way", "dot", "dot/dot/dot/file", "slashes", "file/", "file/.", "file/..",
        "link/", "nothing", "nothing/x", "nothing/", "etc", "device", "magic", "proc-self", "proc-self/exe", "chain38", "chain39", "chain40", "chain39/", "fifo/x", "in/deep/",
        "in//deep///file", "/dev/null", "/proc/self/exe", "/proc/self/cwd", "/proc/self/cwd/in", "/proc/self/root", "/proc/thread-self/comm", "/proc/mounts", "/proc/self/fd", "/proc/../dev",
        "/proc/self/cwd/../dev/null", "in/deep/../../../top/file",
    };
    char what[PATH_MAX];
    for (size_t r = 0; r < sizeof resolves / sizeof *resolves; r++)
        for (size_t p = 0; p < sizeof paths / sizeof *paths; p++) {
            if (!strncmp(paths[p], "magic", 5) && !(resolves[r] & 0x1e))
                continue; /* where descriptor 0 leads to is not ours */
            snprintf(what, sizeof what, "resolve %lx of %s", resolves[r], paths[p]);
            open_of(what, top, paths[p], O_RDONLY | O_NONBLOCK, 0, resolves[r]);
            snprintf(what, sizeof what, "resolve %lx of %s as O_PATH, no following", resolves[r], paths[p]);
            open_of(what, top, paths[p], O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, resolves[r]);
        }
}

static void flag_lines(int top)
{
    static const struct { const char *path; uint64_t flags, mode; } opens[] = {
        {"file", O_RDWR | O_CLOEXEC, 0}, {"link", O_RDONLY | O_NOFOLLOW, 0}, {"link", O_PATH, 0}, {"link", O_PATH | O_DIRECTORY, 0}, {"in", O_PATH | O_DIRECTORY, 0},
        {"in", O_WRONLY, 0}, {"in", O_RDONLY | O_DIRECTORY, 0}, {"file", O_RDONLY | O_DIRECTORY, 0}, {"to-in", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0}, {"to-in/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0},
        {"link", O_RDONLY | O_CREAT, 0644}, {"file", O_RDONLY | O_CREAT | O_EXCL, 0644}, {"link", O_RDONLY | O_CREAT | O_EXCL, 0644}, {"makes", O_RDWR | O_CREAT | O_EXCL, 0644},
        {"makes", O_RDWR | O_CREAT | O_NOFOLLOW, 0644}, {"makes", O_RDWR | O_CREAT, 04755}, {"made", O_RDONLY, 0}, {"new", O_RDWR | O_CREAT | O_EXCL, 0600}, {"new", O_WRONLY | O_TRUNC | O_APPEND, 0},
        {"new/", O_RDWR | O_CREAT, 0600}, {"in/", O_RDONLY | O_CREAT, 0600}, {"in", O_RDONLY | O_CREAT, 0600}, {"in/..", O_RDONLY | O_CREAT, 0600}, {".", O_RDONLY | O_CREAT | O_EXCL, 0600},
        {"nothing/new", O_RDWR | O_CREAT, 0600}, {"out", O_RDWR | O_CREAT, 0600}, {"past", O_RDWR | O_CREAT, 0600}, {"in", O_RDWR | O_TMPFILE, 0600}, {"to-in", O_RDWR | O_TMPFILE, 0600},
        {"file", O_RDWR | O_TMPFILE, 0600}, {"nothing", O_RDWR | O_TMPFILE, 0600}, {".", O_RDWR | O_TMPFILE | O_EXCL, 0600}, {"file", O_RDONLY | O_NOATIME | O_NOCTTY | LARGE, 0},
        {"fifo", O_WRONLY | O_NONBLOCK, 0}, {"fifo", O_RDONLY | O_NONBLOCK, 0}, {"shut/x", O_RDWR | O_CREAT, 0600},
        /* refused before the path is looked at */
        {"file", O_RDONLY, 0600}, {"nothing", O_RDWR | O_CREAT, 0100600}, {"file", 1ULL << 40, 0}, {"file", 1U << 31, 0}, {"file", 1 << 2, 0}, {"file", O_PATH | O_RDWR, 0}, {"file", O_PATH | O_CREAT, 0600},
        {"file", O_PATH | LARGE, 0}, {"in", O_CREAT | O_DIRECTORY, 0600}, {"in", O_TMPFILE, 0600}, {"in", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600}, {"in", O_TMPFILE | O_RDWR | O_CREAT, 0600}, {"file", 3, 0},
        {"file", O_RDWR | O_SYNC, 0}, {"file", O_RDWR | O_DSYNC | O_ASYNC, 0},
    };
    static const uint64_t resolves[] = {0, 1, 4, 8, 0x10};
    char what[PATH_MAX];
    umask(027);
    for (size_t r = 0; r < sizeof resolves / sizeof *resolves; r++) {
        for (size_t o = 0; o < sizeof opens / sizeof *opens; o++) {
            snprintf(what, sizeof what, "flags %lo mode %lo of %s, resolve %lx", opens[o].flags, opens[o].mode, opens[o].path, resolves[r]);
            open_of(what, top, opens[o].path, opens[o].flags, opens[o].mode, resolves[r]);
        }
        struct stat s = {0};
        snprintf(what, sizeof what, "created with resolve %lx", resolves[r]);
        char modes[64];
        snprintf(modes, sizeof modes, "%o", fstatat(top, "made", &s, 0) ? 0 : s.st_mode);
        line(what, modes);
        unlinkat(top, "made", 0), unlinkat(top, "new", 0);
    }
    umask(022);
}

static void argument_lines(int top)
{
    struct { struct how how; uint64_t more[600]; } longer = {{O_RDONLY, 0, 0}, {0}};
    static char long_name[300], long_path[PATH_MAX + 1], short_path[PATH_MAX];
    memset(long_name, 'l', sizeof long_name - 1);
    memset(long_path, '/', PATH_MAX);
    memset(short_path, '/', PATH_MAX - 1);
    memcpy(short_path + PATH_MAX - 5, "file", 4);
    static const size_t sizes[] = {0, 8, 23, 24, 25, 31, 32, 100, 4096, 4097};
    char what[64];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        snprintf(what, sizeof what, "struct of %zu", sizes[s]);
        line(what, what_is(openat2(top, "file", &longer, sizes[s])));
        snprintf(what, sizeof what, "bad struct of %zu", sizes[s]);
        line(what, what_is(openat2(top, "file", BAD, sizes[s])));
    }
    longer.more[20] = 1;
    line("longer struct, not zero", what_is(openat2(top, "file", &longer, 24 + 21 * 8)));
    line("longer struct, zero before that", what_is(openat2(top, "file", &longer, 24 + 20 * 8)));
    for (uint64_t resolve = 0; resolve <= 8; resolve += 4) {
        struct how how = {O_RDONLY, 0, resolve};
        snprintf(what, sizeof what, "resolve %lx bad path", resolve);
        line(what, what_is(openat2(top, BAD, &how, 24)));
        snprintf(what, sizeof what, "resolve %lx NULL path", resolve);
        line(what, what_is(openat2(top, NULL, &how, 24)));
        snprintf(what, sizeof what, "resolve %lx ", resolve);
        size_t end = strlen(what);
        strcpy(what + end, "empty path"), open_of(what, top, "", O_RDONLY, 0, resolve);
        strcpy(what + end, "long name"), open_of(what, top, long_name, O_RDONLY, 0, resolve);
        strcpy(what + end, "long path"), open_of(what, top, long_path, O_RDONLY, 0, resolve);
        strcpy(what + end, "longest path"), open_of(what, top, short_path, O_RDONLY, 0, resolve);
        strcpy(what + end, "closed descriptor"), open_of(what, CLOSED, "file", O_RDONLY, 0, resolve);
        strcpy(what + end, "closed descriptor, absolute"), open_of(what, CLOSED, "/dev/null", O_RDONLY, 0, resolve);
        strcpy(what + end, "descriptor -5"), open_of(what, -5, "file", O_RDONLY, 0, resolve);
        strcpy(what + end, "working folder"), open_of(what, AT_FDCWD, "top/file", O_RDONLY, 0, resolve);
        int file = open("outside", O_RDONLY);
        strcpy(what + end, "below a file's descriptor"), open_of(what, file, "x", O_RDONLY, 0, resolve);
        close(file);
    }
    open_of("both scopes", top, "file", O_RDONLY, 0, 0x18);
    open_of("unknown resolve", top, "file", O_RDONLY, 0, 0x40);
    open_of("unknown high resolve", top, "file", O_RDONLY, 0, 1ULL << 63);
    open_of("resolve 20: cached", top, "file", O_RDONLY, 0, 0x20);
    open_of("cached, bad path", top, BAD, O_RDONLY, 0, 0x20);
    open_of("cached, to be created", top, "file", O_RDWR | O_CREAT, 0600, 0x20);
    open_of("cached, unknown flag", top, "file", 1ULL << 40, 0, 0x20);
    open_of("in root, root is a file", open("outside", O_PATH), "/", O_RDONLY, 0, 0x10);
}

/* fs.protected_symlinks: a link in a sticky folder of all is followed by its owner only. */
static void sticky_lines(int top)
{
    must(!mkdir("top/sticky", 01777) && !chmod("top/sticky", 01777) && !symlink("../file", "top/sticky/mine") && !symlink("../file", "top/sticky/other"), "sticky");
    if (lchown("top/sticky/other", 12345, 12345))
        return;
    must(!chown("top/sticky", 54321, 54321), "chown");
    open_of("sticky, own link", top, "sticky/mine", O_RDONLY, 0, 8);
    open_of("sticky, another's link", top, "sticky/other", O_RDONLY, 0, 8);
    open_of("sticky, another's link, plain", top, "sticky/other", O_RDONLY, 0, 0);
    open_of("sticky, another's link, in root", top, "sticky/other", O_RDONLY, 0, 0x10);
}

int main(int argc, char **argv)
{
    snprintf(root, sizeof root, "%s/modern-openat2-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    by_symbol = argc > 1 && !strcmp(argv[1], "symbol");
    umask(022);
    must(mkdtemp(root) != NULL, root);
    char command[PATH_MAX + 16];
    int status = 0;
    pid_t child = fork(); /* so that the folder goes whatever becomes of the checks */
    if (!child) {
        must(!chdir(root), root);
        tree();
        int top = open("top", O_PATH);
        must(top >= 0 && !fchdir(top), "top");
        resolve_lines(top);
        flag_lines(top);
        must(!chdir(".."), "chdir");
        argument_lines(top);
        sticky_lines(top);
        fflush(stdout);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child, "waitpid");
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command) || status;
}
