/* One call by every rule with its answer checked: for programs that make such calls in odd places.
 * Nothing here allocates, so it may run in signal handlers, vfork children and constructors. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { NR_sysctl = 156, NR_ustat = 136, NR_sysfs = 139, NR_query_module = 178, NR_get_kernel_syms = 177,
       NR_uselib = 134, NR_epoll_create = 213, NR_getpmsg = 181, NR_putpmsg = 182 };

extern int stime(const long *) __attribute__((weak));

/* 76 bytes, none of them plain: what makes a log line longest. */
#define LONG_NAME "/\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017\001\002\003\004\005\006\007\010" \
    "\011\012\013\014\015\016\017\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017\001\002\003\004" \
    "\005\006\007\010\011\012\013\014\015\016\017\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017"

/* Whether a call failed with this errno. */
static inline int fails(long result, int error) { return result == -1 && errno == error; }

/* Makes twelve calls, each of them logged under EVERCALL_FORCE=all; a bit is set for each wrong answer. */
static inline unsigned translate(void)
{
    unsigned wrong = 0;
    struct utsname host;
    uname(&host);
    char text[128] = "";
    size_t length = sizeof text - 1;
    int name[10] = {1, 2, -1, -1, -1, -1, -1, -1, -1, -1};
    void *args[10] = {name, (void *)10, text, &length, 0, 0};
    wrong |= (syscall(NR_sysctl, args) || strcmp(text, host.release)) << 0;

    struct stat root;
    struct { int blocks; unsigned long inodes; char names[12]; } fs;
    memset(&fs, 0xff, sizeof fs);
    stat("/", &root);
    wrong |= (syscall(NR_ustat, (unsigned)root.st_dev, &fs) || fs.blocks == -1) << 1;
    wrong |= !fails(syscall(NR_ustat, 0xfff00fffu, &fs), EINVAL) << 2;

    long proc = syscall(NR_sysfs, 1, "proc");
    wrong |= (proc < 0) << 3;
    wrong |= (syscall(NR_sysfs, 2, proc, text) || strcmp(text, "proc")) << 4;
    wrong |= (syscall(NR_sysfs, 3) <= proc) << 5;

    /* Answered where the kernel has modules, and then there is no module of this name. */
    int modules = syscall(SYS_faccessat, AT_FDCWD, "/proc/modules", R_OK) == 0; /* access() may be forced too */
    long queried = syscall(NR_query_module, LONG_NAME + 16, 5, text, sizeof text, &length);
    wrong |= !fails(queried, modules ? ENOENT : ENOSYS) << 6;
    wrong |= !fails(syscall(NR_uselib, LONG_NAME), ENOENT) << 7;

    int fd = syscall(NR_epoll_create, 1);
    wrong |= (fd < 0 || close(fd)) << 8;
    wrong |= !fails(syscall(NR_getpmsg, 0, text, text, &length, &length), ENOSYS) << 9;
    wrong |= !fails(syscall(NR_putpmsg, 0, text, text, 1, 1), ENOSYS) << 10;
    /* No clock goes back before 1970, so this changes none. */
    long never = -1;
    wrong |= !fails(stime(&never), EINVAL) << 11;
    return wrong;
}
