/* errno_kept: calls of old interfaces that succeed, and some that fail; for each whether it succeeded, and
 * errno afterwards, which was 77 before. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const char *what, long result)
{
    printf("%s: %s, errno %d\n", what, result < 0 ? "fails" : "succeeds", errno);
    errno = 77;
}

int main(void)
{
    struct stat root;
    char room[64];
    stat("/", &root);
    errno = 77;
    tell("epoll_create", epoll_create(1));
    tell("epoll_create of nothing", epoll_create(0));
    tell("epoll_create by number", syscall(213, 1));
    tell("ustat by number", syscall(136, (unsigned)root.st_dev, room));
    tell("ustat of no device", syscall(136, 0xffffffffu, room));
    tell("ustat to a bad address", syscall(136, (unsigned)root.st_dev, 8L));
    tell("sysfs(3) by number", syscall(139, 3));
    tell("sysfs of no such type", syscall(139, 1, "nosuchfs"));
    tell("sysfs of a bad address", syscall(139, 1, 8L));
    return 0;
}
