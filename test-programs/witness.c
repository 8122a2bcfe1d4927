/* witness CALL: does one call through syscall(), between two calls of getppid by bare instruction, so that whoever
 * traces it sees what the call became; then prints its process id and what came of the call. Works in the current folder, which holds
 * `file` ("0123456789"), `other` and `folder`. Numbers are given by hand: the machine's headers may be older. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define A(pointer) (long)(pointer)

static char buffer[256], other[256];
static struct iovec vectors[2] = { { buffer, 3 }, { other, 4 } };
static struct timespec stamps[2] = { { 11, 22 }, { 33, 44 } };
static struct timespec no_time, far = { 5, 0 };
static uint64_t how[3] = { O_RDONLY, 0, 0x08 /* RESOLVE_BENEATH */ };
static uint64_t clone_arguments[11] = { [4] = SIGCHLD }; /* struct clone_args: exit_signal */
static uint64_t limits[2];
/* Paths at the start of a page: how much is read at once ends at the next one. */
static _Alignas(4096) char inside[4096] = "folder/../file", outside[4096] = "../file", name[4096] = "name";
static uint64_t from = 2, to = 1;
static _Alignas(4096) char *arguments[512] = { "true", NULL };
static struct epoll_event event;
static struct timeval short_time = { 0, 1 };
static _Alignas(4096) char page[4096];
static uint64_t mask = 1u << (SIGUSR1 - 1);
static struct mmsghdr messages[2];

static void mark(void)
{
    long answer;
    __asm__ volatile("syscall" : "=a"(answer) : "a"(SYS_getppid) : "rcx", "r11", "memory");
}

static int opened(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC, 0600);
}

static int listening(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, "socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1) ||
        connect(peer, (struct sockaddr *)&address, sizeof address))
        return -1;
    return fd;
}

/* Two datagrams waiting. */
static int pair(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) || write(ends[1], "one", 3) != 3 || write(ends[1], "two", 3) != 3)
        return -1;
    for (int i = 0; i < 2; i++) {
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return ends[0];
}

/* An epoll that has nothing to tell. */
static int quiet_epoll(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC), ends[2];
    struct epoll_event of = { .events = EPOLLIN };
    return pipe2(ends, O_CLOEXEC) || epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &of) ? -1 : fd;
}

/* What a call is made of: number, then six arguments, the first put in later where it is a descriptor. */
struct made { const char *name; long number, arguments[6]; int (*first)(void); };

static int file(void) { return opened("file", O_RDONLY); }
static int target(void) { dup2(opened("other", O_WRONLY), 9); return opened("file", O_RDONLY); }
static int folder(void) { return opened("folder", O_RDONLY | O_DIRECTORY); }
static int writable(void) { return opened("other", O_WRONLY); }

static const struct made calls[] = {
    { "statx", 332, { AT_FDCWD, A("file"), 0, 0x7ff, A(buffer) }, NULL },
    { "statx_descriptor", 332, { 0, A(""), AT_EMPTY_PATH, 0x7ff, A(buffer) }, file },
    { "faccessat2", 439, { AT_FDCWD, A("file"), R_OK | W_OK, 0x200 /* AT_EACCESS */ }, NULL },
    { "faccessat2_link", 439, { AT_FDCWD, A("file"), R_OK, 0x100 /* AT_SYMLINK_NOFOLLOW */ }, NULL },
    { "fchmodat2", 452, { AT_FDCWD, A("file"), 0640, 0x100 /* AT_SYMLINK_NOFOLLOW */ }, NULL },
    { "openat2", 437, { AT_FDCWD, A(inside), A(how), sizeof how }, NULL },
    { "openat2_escapes", 437, { AT_FDCWD, A(outside), A(how), sizeof how }, NULL },
    { "renameat2", 316, { AT_FDCWD, A("file"), AT_FDCWD, A("new"), 1 /* RENAME_NOREPLACE */ }, NULL },
    { "renameat2_exists", 316, { AT_FDCWD, A("file"), AT_FDCWD, A("other"), 1 }, NULL },
    { "copy_file_range", 326, { 0, 0, 9, 0, 6, 0 }, target },
    { "copy_file_range_offsets", 326, { 0, A(&from), 9, A(&to), 6, 0 }, target },
    { "getrandom", 318, { A(buffer), 16, 0 }, NULL },
    { "close_range", 436, { 0, ~0u, 0 }, target },
    { "close_range_cloexec", 436, { 0, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */ }, target },
    { "epoll_pwait2", 441, { 0, A(&event), 1, A(&no_time), A(&mask), 8 }, quiet_epoll },
    { "preadv2", 327, { 0, A(vectors), 2, 2, 0, 0 }, file },
    { "preadv2_position", 327, { 0, A(vectors), 2, -1, -1, 0 }, file },
    { "pwritev2", 328, { 0, A(vectors), 2, 0, 0, 0x2 /* RWF_DSYNC */ }, writable },
    { "memfd_create", 319, { A(name), 1 /* MFD_CLOEXEC */ }, NULL },
    { "accept4", 288, { 0, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK }, listening },
    { "dup3", 292, { 0, 20, O_CLOEXEC }, file },
    { "pipe2", 293, { A(buffer), O_CLOEXEC | O_NONBLOCK }, NULL },
    { "prlimit64", 302, { 0, 7 /* RLIMIT_NOFILE */, 0, A(limits) }, NULL },
    { "clone3", 435, { A(clone_arguments), sizeof clone_arguments }, NULL },
    { "execveat", 322, { AT_FDCWD, A("/bin/true"), A(arguments), A(arguments + 256), 0 }, NULL },
    { "utimensat", 280, { AT_FDCWD, A("file"), A(stamps), 0 }, NULL },
    { "recvmmsg", 299, { 0, A(messages), 2, 0, A(&far) }, pair },
    { "eventfd2", 290, { 5, O_CLOEXEC }, NULL },
    { "mlock2", 325, { A(buffer), 16, 0 }, NULL },
    { "open", 2, { A("file"), O_RDONLY | O_CLOEXEC, 0 }, NULL },
    { "creat", 85, { A("new"), 0640 }, NULL },
    { "access", 21, { A("file"), R_OK | W_OK }, NULL },
    { "lstat", 6, { A("file"), A(buffer) }, NULL },
    { "fstat", 5, { 0, A(buffer) }, file },
    { "rmdir", 84, { A("folder") }, NULL },
    { "rename", 82, { A("file"), A("new") }, NULL },
    { "readlink", 89, { A("file"), A(buffer), 10 }, NULL },
    { "lchown", 94, { A("file"), -1, -1 }, NULL },
    { "mknod", 133, { A("new"), 0010644, 0 }, NULL },
    { "getdents", 78, { 0, A(page), 4096 }, folder },
    { "pipe", 22, { A(buffer) }, NULL },
    { "dup2", 33, { 0, 20 }, file },
    { "dup2_same", 33, { 20, 20 }, NULL },
    { "signalfd", 282, { -1, A(&mask), 8 }, NULL },
    { "inotify_init", 253, { 0 }, NULL },
    { "select", 23, { 0, 0, 0, 0, A(&short_time) }, NULL },
    { "poll", 7, { 0, 0, 15 }, NULL },
    { "epoll_wait", 232, { 0, A(&event), 1, 0 }, quiet_epoll },
    { "alarm", 37, { 5 }, NULL },
    { "time", 201, { 0 }, NULL },
    { "utime", 132, { A("file"), A(stamps) }, NULL },
    { "futimesat", 261, { AT_FDCWD, A("file"), A(stamps) }, NULL },
    { "getrlimit", 97, { 7 /* RLIMIT_NOFILE */, A(limits) }, NULL },
    { "setrlimit", 160, { 4 /* RLIMIT_CORE */, A(limits) }, NULL },
    { "fork", 57, { 0 }, NULL },
    { "vfork", 58, { 0 }, NULL },
    { "sync_file_range", 277, { 0, 0, 4, 2 /* SYNC_FILE_RANGE_WRITE */ }, writable },
};

/* Calls that make a process, which returns here too. */
static int makes_a_process(long number)
{
    return number == 435 || number == 57 || number == 58;
}

int main(int argc, char **argv)
{
    /* Nothing of whoever started this, and limits that are the same on every machine. */
    struct rlimit few = { 256, 256 };
    setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    printf("%d\n", getpid());
    fflush(stdout);
    for (size_t i = 0; argc == 2 && i < sizeof calls / sizeof *calls; i++) {
        const struct made *made = &calls[i];
        if (strcmp(made->name, argv[1]))
            continue;
        long a = made->arguments[0];
        if (made->first && (a = made->first()) < 0)
            break;
        const long *rest = made->arguments;
        mark();
        long result = syscall(made->number, a, rest[1], rest[2], rest[3], rest[4], rest[5]);
        int error = errno;
        if (makes_a_process(made->number) && !result)
            _exit(0);
        mark();
        if (result < 0)
            printf("failed: %s\n", strerrorname_np(error));
        else
            printf(made->number == 201 ? "returned the time\n" : makes_a_process(made->number) ? "returned a process\n" : "returned %ld\n", result);
        return 0;
    }
    fprintf(stderr, "usage: witness CALL\n");
    return 2;
}
