/* What the modern_files programs share: a call by a door, its outcome as text, and a tree in a folder of its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum {
    UTIMENSAT = 280, RENAMEAT2 = 316, MEMFD_CREATE = 319, STATX = 332, OPENAT2 = 437, FACCESSAT2 = 439, FCHMODAT2 = 452,
    SETXATTRAT = 463, GETXATTRAT, LISTXATTRAT, REMOVEXATTRAT, FILE_GETATTR = 468, FILE_SETATTR,
    EMPTY = 0x1000, NOFOLLOW = 0x100, EACCESS = 0x200, CLOSED = 999,
};
#define BAD ((void *)0x12345000)
#define A(x) ((long)(x))

static int by_symbol;
static void *read_only __attribute__((unused));
static char long_name[300] __attribute__((unused)), long_path[PATH_MAX + 2];

static long call(long number, const char *symbol, long a, long b, long c, long d, long e, long f)
{
    typedef int (*function)(long, long, long, long, long, long);
    function found = by_symbol && symbol ? (function)dlsym(RTLD_DEFAULT, symbol) : NULL;
    errno = 0;
    return found ? found(a, b, c, d, e, f) : syscall(number, a, b, c, d, e, f);
}

static const char *outcome(long result)
{
    static char text[4][32];
    static int next;
    char *to = text[next++ % 4];
    if (result == -1)
        return strerrorname_np(errno) ? strerrorname_np(errno) : "no errno";
    snprintf(to, sizeof *text, "%ld", result);
    return to;
}

static void line(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

static void must(int holds, const char *what)
{
    if (!holds) {
        printf("modern_files: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static void make(const char *path, const char *text, int mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && !fchmod(fd, mode), path);
    close(fd);
}

static void tree(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {AF_UNIX, "socket"};
    must(!bind(fd, (void *)&address, sizeof address), "socket");
    close(fd);
    must(!mkdir("folder", 0755) && !mkdir("folder/inner", 0755) && !mkdir("closed", 0700), "mkdir");
    make("file", "contents of file\n", 0644);
    make("folder/below", "below\n", 0644);
    make("folder/inner/deep", "deep\n", 0600);
    make("run", "#!/bin/true\n", 0755);
    make("none", "", 0);
    make("closed/secret", "", 0644);
    must(!mkfifo("fifo", 0640) && !link("run", "hard"), "fifo");
    must(!symlink("file", "link") && !symlink("nowhere", "dangling") && !symlink("loop", "loop") &&
             !symlink("folder", "to-folder") && !symlink("/etc/passwd", "folder/absolute") &&
             !symlink("../file", "folder/out") && !symlink("inner/../below", "folder/around") &&
             !symlink("/below", "folder/rooted") && !symlink("inner/", "folder/slashed") &&
             !symlink("..", "folder/inner/up") && !symlink("created", "folder/creates") &&
             !symlink("/proc/self/fd/0", "folder/magic") && !symlink("inner/up/around", "folder/twice"),
         "symlink");
}

/* Runs the checks in a child, in a folder of its own with the tree in it, which goes whatever becomes of the child. */
static int in_tree(int argc, char **argv, void (*checks)(void))
{
    char folder[PATH_MAX], command[PATH_MAX + 16];
    int status = 0;
    snprintf(folder, sizeof folder, "%s/modern-files-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    by_symbol = argc > 1 && !strcmp(argv[1], "symbol");
    umask(022);
    must(mkdtemp(folder) != NULL, folder);
    pid_t child = fork();
    if (!child) {
        must(!chdir(folder) && !chmod(".", 0755), folder);
        read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(long_name, 'l', sizeof long_name - 1);
        memset(long_path, '/', sizeof long_path - 1);
        tree();
        checks();
        fflush(stdout);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child, "waitpid");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || status;
}
