/* young_calls NAME: one call that kernels of the matrix do not have yet, its outcome checked: xattrat (6.13),
 * fchmodat2 (6.6), futexes (6.7), epoll_pwait2 (5.11). Prints "NAME right", or what was wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NR_epoll_pwait2 = 441, NR_fchmodat2 = 452, NR_futex_wake = 454, NR_futex_wait = 455, NR_setxattrat = 463,
       NR_getxattrat = 464, NR_removexattrat = 466, FUTEX2_SIZE_U32 = 2 };

#define CHECK(what) do { if (!(what)) { printf("wrong: %s: %s\n", #what, strerror(errno)); exit(1); } } while (0)

static const char *file = "/tmp/young", *link_to_it = "/tmp/young.link";

static void xattrat(void)
{
    struct { uint64_t value; uint32_t size, flags; } set = {(uintptr_t)"yes", 3, 0};
    char got[8] = "";
    struct { uint64_t value; uint32_t size, flags; } get = {(uintptr_t)got, sizeof got, 0};
    CHECK(syscall(NR_setxattrat, AT_FDCWD, file, 0, "trusted.young", &set, sizeof set) == 0);
    CHECK(syscall(NR_getxattrat, AT_FDCWD, file, 0, "trusted.young", &get, sizeof get) == 3 && !strcmp(got, "yes"));
    CHECK(syscall(NR_getxattrat, AT_FDCWD, file, 0, "trusted.none", &get, sizeof get) == -1 && errno == ENODATA);
    CHECK(syscall(NR_removexattrat, AT_FDCWD, file, 0, "trusted.young") == 0);
}

static void fchmodat2(void)
{
    struct stat now;
    CHECK(syscall(NR_fchmodat2, AT_FDCWD, file, 0640, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(stat(file, &now) == 0 && (now.st_mode & 07777) == 0640);
    CHECK(syscall(NR_fchmodat2, AT_FDCWD, link_to_it, 0600, AT_SYMLINK_NOFOLLOW) == -1 && errno == EOPNOTSUPP);
    CHECK(syscall(NR_fchmodat2, AT_FDCWD, link_to_it, 0600, 0) == 0);
    CHECK(stat(file, &now) == 0 && (now.st_mode & 07777) == 0600);
    CHECK(syscall(NR_fchmodat2, AT_FDCWD, file, 0600, 0x10000000) == -1 && errno == EINVAL);
}

static void futexes(void)
{
    static uint32_t word = 7;
    struct timespec past = {1, 0};
    CHECK(syscall(NR_futex_wake, &word, -1, 1, FUTEX2_SIZE_U32) == 0);
    CHECK(syscall(NR_futex_wait, &word, 8, -1, FUTEX2_SIZE_U32, 0, 0) == -1 && errno == EAGAIN);
    CHECK(syscall(NR_futex_wait, &word, 7, -1, FUTEX2_SIZE_U32, &past, CLOCK_MONOTONIC) == -1 && errno == ETIMEDOUT);
}

static void epoll_pwait2_(void)
{
    int fds[2], epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5}, got[2];
    struct timespec soon = {0, 1000};
    CHECK(pipe(fds) == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event) == 0);
    CHECK(syscall(NR_epoll_pwait2, epoll, got, 2, &soon, 0, 8) == 0);
    CHECK(write(fds[1], "x", 1) == 1);
    CHECK(syscall(NR_epoll_pwait2, epoll, got, 2, 0, 0, 8) == 1 && got[0].data.u32 == 5);
    soon.tv_nsec = 1000000000;
    CHECK(syscall(NR_epoll_pwait2, epoll, got, 2, &soon, 0, 8) == -1 && errno == EINVAL);
}

int main(int argc, char **argv)
{
    mkdir("/tmp", 0777);
    close(open(file, O_CREAT | O_RDWR, 0600));
    CHECK(symlink(file, link_to_it) == 0 || errno == EEXIST);
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "xattrat")) xattrat();
    else if (!strcmp(name, "fchmodat2")) fchmodat2();
    else if (!strcmp(name, "futexes")) futexes();
    else if (!strcmp(name, "epoll_pwait2")) epoll_pwait2_();
    else return 2;
    printf("%s right\n", name);
    return 0;
}
