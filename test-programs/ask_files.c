/* ask_files DOOR [UID [REAL-UID]]: makes a tree in a folder of its own, deep enough that five `..` lead to nothing else, makes the calls on it that it reads, one a line, and
 * prints what came of each; at the end prints the tree. DOOR: inline (the instruction), syscall, symbol. With UID the
 * calls are made as that user. A line: `CALL FOLDER PATH NUMBER...`, for renameat2 `renameat2 FOLDER PATH FOLDER PATH FLAGS`.
 * FOLDER: cwd, top, opath, file, fileopath, linkopath, socket, closed, or a number. PATH: NULL, BAD, EMPTY, CUT (no NUL before
 * memory that is not mapped), LONG (300 letters), HUGE (PATH_MAX), or the path. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static const struct { const char *name; long number; const char *symbol; } calls[] = {
    {"utimensat", 280, "utimensat"}, {"renameat2", 316, "renameat2"}, {"memfd_create", 319, "memfd_create"}, {"statx", 332, "statx"},
    {"openat2", 437, "openat2"}, {"faccessat2", 439, "faccessat"}, {"fchmodat2", 452, "fchmodat"}, {"setxattrat", 463, NULL}, {"getxattrat", 464, NULL},
    {"listxattrat", 465, NULL}, {"removexattrat", 466, NULL}, {"file_getattr", 468, NULL}, {"file_setattr", 469, NULL},
};

static const char *door;
static char root[PATH_MAX], *edge;
static int top, opath, file, fileopath, linkopath;

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "ask_files: %s: %s\n", what, strerror(errno));
        exit(2);
    }
}

static long inline_call(long number, const long *a)
{
    long result;
    register long d __asm__("r10") = a[3];
    register long e __asm__("r8") = a[4];
    register long f __asm__("r9") = a[5];
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(d), "r"(e), "r"(f) : "rcx", "r11", "memory");
    if (result < 0 && result >= -4095) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

static long make_call(const char *name, long a, long b, long c, long d, long e, long f)
{
    typedef int (*function)(long, long, long, long, long, long);
    size_t i = 0;
    while (strcmp(calls[i].name, name))
        i++;
    const long all[] = {a, b, c, d, e, f};
    errno = 0;
    if (!strcmp(door, "inline"))
        return inline_call(calls[i].number, all);
    if (!strcmp(door, "symbol") && calls[i].symbol) {
        function symbol = (function)dlsym(RTLD_DEFAULT, calls[i].symbol);
        must(symbol != NULL, calls[i].symbol);
        return symbol(a, b, c, d, e, f);
    }
    return syscall(calls[i].number, a, b, c, d, e, f);
}

static long folder(const char *word)
{
    if (!strcmp(word, "cwd")) return AT_FDCWD;
    if (!strcmp(word, "top")) return top;
    if (!strcmp(word, "opath")) return opath;
    if (!strcmp(word, "file")) return file;
    if (!strcmp(word, "fileopath")) return fileopath;
    if (!strcmp(word, "linkopath")) return linkopath;
    if (!strcmp(word, "closed")) return 999;
    return strtol(word, NULL, 0);
}

static const char *path(const char *word)
{
    static char name[301], huge[PATH_MAX + 1];
    if (!strcmp(word, "NULL")) return NULL;
    if (!strcmp(word, "BAD")) return (char *)0x12345000;
    if (!strcmp(word, "EMPTY")) return "";
    if (!strcmp(word, "CUT")) return edge;
    if (!strcmp(word, "LONG")) return memset(name, 'l', 300);
    if (!strcmp(word, "HUGE")) return memset(huge, '/', PATH_MAX);
    return word;
}

static int is_text(const char *word)
{
    return path(word) == word || !strcmp(word, "EMPTY");
}

static void make(const char *name, int mode, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, text, strlen(text)) >= 0 && !fchmod(fd, mode), name);
    close(fd);
}

static void tree(void)
{
    must(!mkdir("top", 0777) && !chmod("top", 0777) && !mkdir("top/a", 0755) && !mkdir("top/a/b", 0777) && !mkdir("top/shut", 0700) && !mkdir("top/dark", 0), "mkdir");
    make("outside", 0644, "outside"), make("top/f", 0666, "f"), make("top/g", 0755, "gg"), make("top/a/f", 0640, "a/f"), make("top/a/b/f", 04711, "");
    make("top/shut/f", 0666, ""), make("top/h", 0, "hhhh");
    must(!mkfifo("top/fifo", 0620), "mkfifo");
    static const char *const links[][2] = {
        {"f", "l"}, {"a", "la"}, {"..", "a/up"}, {"../..", "a/b/upup"}, {"../outside", "out"}, {"/f", "abs"}, {"/", "rootlink"}, {"nowhere", "dangling"}, {"loop", "loop"},
        {"a/b/upup/top/l", "way"}, {".", "dot"}, {"a/", "slash"}, {"/proc/self/cwd", "magic"}, {"/proc/self/root", "magicroot"}, {"a/up/a/b/f", "deep"}, {"/dev/null", "null"}, {"shut/f", "hidden"},
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        char name[64];
        snprintf(name, sizeof name, "top/%s", links[i][1]);
        must(!symlink(links[i][0], name), name);
    }
}

/* Everything below a folder, in order: what can be compared of two trees. */
static void show(const char *name)
{
    struct dirent **entries;
    struct stat s;
    must(!lstat(name, &s), name);
    char text[256] = "", names[256] = "";
    if (S_ISLNK(s.st_mode))
        must(readlink(name, text, sizeof text - 1) >= 0, name);
    ssize_t length = llistxattr(name, names, sizeof names);
    for (ssize_t i = 0; i + 1 < length; i++)
        if (!names[i])
            names[i] = ',';
    printf("%s %o %lu %ld %s %s;", name, s.st_mode, (unsigned long)s.st_nlink, S_ISREG(s.st_mode) ? (long)s.st_size : 0, text, names);
    int count = S_ISDIR(s.st_mode) ? scandir(name, &entries, NULL, alphasort) : 0;
    for (int i = 0; i < count; i++)
        if (strcmp(entries[i]->d_name, ".") && strcmp(entries[i]->d_name, "..")) {
            char below[PATH_MAX];
            snprintf(below, sizeof below, "%s/%s", name, entries[i]->d_name);
            show(below);
        }
}

static void show_descriptor(long fd, int hidden)
{
    char link[64], to[PATH_MAX + 8] = "", pid[16];
    struct stat s;
    snprintf(link, sizeof link, "/proc/self/fd/%ld", fd);
    must(readlink(link, to, PATH_MAX) > 0 && !fstat(fd, &s), link);
    size_t digits = snprintf(pid, sizeof pid, "%d", getpid()), length = strlen(root);
    for (char *at; (at = strstr(to, pid));)
        memmove(at + 3, at + digits, strlen(at + digits) + 1), memcpy(at, "PID", 3);
    const char *from = strchr(to, '#') ? "no-name" : !strncmp(to, root, length) ? to + length : to;
    printf(" %s %o %x %x", from, s.st_mode, fcntl(fd, F_GETFL) & ~hidden, fcntl(fd, F_GETFD));
    close(fd);
}

struct sx { uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, pad; uint64_t ino, size, blocks, known;
    struct { int64_t sec; uint32_t nsec; int32_t pad; } atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor; uint64_t rest[14]; };

static void show_statx(long fd, const char *name, long flags, unsigned mask, const struct sx *x)
{
    struct stat s;
    must(!fstatat(fd, name ? name : "", &s, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)), "fstatat");
    printf(" %x %o %u %u %u %lu %u:%u same %d%d%d", x->mask & mask & 0x7ff, x->mode, x->nlink, x->uid, x->gid, S_ISREG(x->mode) ? (unsigned long)x->size : 0, x->rdev_major, x->rdev_minor,
           x->ino == s.st_ino && x->blocks == (uint64_t)s.st_blocks && x->blksize == s.st_blksize && x->size == (uint64_t)s.st_size,
           /* Kernels with multigrain times leave these two out if nobody asks for them. */
           !(mask & 0xc0) || (x->atime.sec == s.st_atim.tv_sec && x->atime.nsec == s.st_atim.tv_nsec && x->mtime.sec == s.st_mtim.tv_sec &&
                              x->mtime.nsec == s.st_mtim.tv_nsec && x->ctime.sec == s.st_ctim.tv_sec && x->ctime.nsec == s.st_ctim.tv_nsec),
           makedev(x->dev_major, x->dev_minor) == s.st_dev);
}

static void show_time(const struct timespec *time)
{
    if (time->tv_sec > 1600000000)
        printf(" now");
    else
        printf(" %ld.%06ld", time->tv_sec, time->tv_nsec / 1000);
}

static void answer(char **words, int count)
{
    const char *name = words[0];
    long n[8] = {0};
    for (int i = 3; i < count; i++)
        n[i - 3] = (long)strtoull(words[i], NULL, 0);
    long fd = folder(words[1]), result;
    const char *p = path(words[2]);
    unsigned char buffer[4200];
    memset(buffer, 0xa5, sizeof buffer);
    if (!strcmp(name, "statx")) {
        result = make_call(name, fd, (long)p, n[0], n[1], (long)buffer, 0);
        printf("%ld %d", result, result ? errno : 0);
        if (!result)
            show_statx(fd, p, n[0], n[1], (struct sx *)buffer);
    } else if (!strcmp(name, "openat2")) {
        struct { uint64_t flags, mode, resolve, more[600]; } how = {n[0], n[1], n[2], {n[4]}};
        result = make_call(name, fd, (long)p, (long)&how, n[3], 0, 0);
        printf("%d %d", result < 0 ? -1 : 0, result < 0 ? errno : 0);
        if (result >= 0)
            show_descriptor(result, n[0] & O_CREAT && n[2] ? O_NOFOLLOW : 0);
    } else if (!strcmp(name, "renameat2")) {
        result = make_call(name, fd, (long)p, folder(words[3]), (long)path(words[4]), n[2], 0);
        printf("%ld %d", result, result ? errno : 0);
    } else if (!strcmp(name, "utimensat")) {
        struct timespec times[2] = {{n[0], n[1]}, {n[2], n[3]}};
        result = make_call(name, fd, (long)p, n[5] ? n[5] : (long)times, n[4], 0, 0);
        printf("%ld %d", result, result ? errno : 0);
        struct stat s;
        if (!result && is_text(words[2]) && !fstatat(fd, p, &s, n[4] & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
            show_time(&s.st_atim), show_time(&s.st_mtim);
    } else if (!strcmp(name, "memfd_create")) {
        result = make_call(name, (long)p, n[0], 0, 0, 0, 0);
        printf("%d %d", result < 0 ? -1 : 0, result < 0 ? errno : 0);
        if (result >= 0)
            printf(" %x %x %d", fcntl(result, F_GETFL), fcntl(result, F_GETFD), fcntl(result, F_GET_SEALS)), close(result);
    } else if (!strcmp(name, "setxattrat") || !strcmp(name, "getxattrat")) {
        struct { uint64_t value; uint32_t size, flags; uint64_t more[600]; } args = {n[3] ? (uint64_t)n[3] : (uint64_t)buffer, n[4], n[5], {n[7]}};
        result = make_call(name, fd, (long)p, n[0], (long)path(words[4]), (long)&args, n[6]);
        printf("%ld %d %.2x%.2x%.2x", result, result < 0 ? errno : 0, buffer[0], buffer[1], buffer[2]);
    } else if (!strcmp(name, "listxattrat")) {
        result = make_call(name, fd, (long)p, n[0], n[1] ? n[1] : (long)buffer, n[2], 0);
        printf("%ld %d", result, result < 0 ? errno : 0);
        for (long i = 0; i < result && n[2] && !n[1]; i++)
            putchar(buffer[i] ? buffer[i] : ',');
    } else if (!strcmp(name, "removexattrat")) {
        result = make_call(name, fd, (long)p, n[0], (long)path(words[4]), 0, 0);
        printf("%ld %d", result, result ? errno : 0);
    } else if (!strcmp(name, "file_getattr")) {
        result = make_call(name, fd, (long)p, n[2] ? n[2] : (long)buffer, n[0], n[1], 0);
        printf("%ld %d ", result, result ? errno : 0);
        for (int i = 0; i < 64; i++)
            printf("%02x", i >= 12 && i < 16 ? 0 : buffer[i]); /* the number of extents is not ours to compare */
    } else if (!strcmp(name, "file_setattr")) {
        struct { uint64_t xflags; uint32_t extsize, nextents, projid, cow; uint64_t more[600]; } attr = {n[2], n[3], 0, n[4], 0, {n[5]}};
        result = make_call(name, fd, (long)p, (long)&attr, n[0], n[1], 0);
        printf("%ld %d", result, result ? errno : 0);
    } else {
        result = make_call(name, fd, (long)p, n[0], n[1], 0, 0);
        printf("%ld %d", result, result ? errno : 0);
    }
    putchar('\n');
}

int main(int argc, char **argv)
{
    static char line[8192];
    door = argc > 1 ? argv[1] : "inline";
    snprintf(root, sizeof root, "%s/ask-files-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    umask(0);
    must(mkdtemp(root) && !chdir(root) && !chmod(root, 0755), root);
    for (int depth = 1; depth <= 6; depth++)
        must(!mkdir("down", 0755) && !chdir("down"), "down");
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(map != MAP_FAILED && !mprotect(map + 4096, 4096, PROT_NONE), "mmap");
    edge = memset(map + 4092, 'f', 4);
    tree();
    top = open("top", O_RDONLY | O_DIRECTORY), opath = open("top/a", O_PATH), file = open("top/g", O_RDONLY), fileopath = open("top/f", O_PATH);
    linkopath = open("top/l", O_PATH | O_NOFOLLOW);
    must(top >= 0 && opath >= 0 && file >= 0 && fileopath >= 0 && linkopath >= 0 && !chdir("top"), "open");
    long user = argc > 2 ? atoi(argv[2])   : (long)geteuid(), real = argc > 3 ? atoi(argv[3]) : user;
    must(argc < 3 || (!syscall(SYS_setgroups, 0, NULL) && !syscall(SYS_setresgid, real, user, 0) && !syscall(SYS_setresuid, real, user, 0)), "setresuid");
    umask(022);
    while (fgets(line, sizeof line, stdin)) {
        char *words[16], *save;
        int count = 0;
        for (char *word = strtok_r(line, " \n", &save); word && count < 16; word = strtok_r(NULL, " \n", &save))
            words[count++] = word;
        if (count >= 3)
            answer(words, count);
    }
    umask(0);
    must(!syscall(SYS_setresuid, 0, 0, 0) || user == (long)getuid(), "setresuid");
    must(!chdir(root), "chdir");
    show(".");
    putchar('\n');
    fflush(stdout);
    must(!chdir("/"), "chdir");
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command) != 0;
}
