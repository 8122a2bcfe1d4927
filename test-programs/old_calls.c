/* old_calls: calls that kernels still answer and strict or coming hosts do not, a line an answer; a number of failures as exit
 * status. Builds with every libc. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failures;

static void answer(const char *what, long result)
{
    printf("%s %s\n", what, result < 0 ? strerror(errno) : "answers");
    failures += result < 0;
}

int main(void)
{
    struct stat root;
    char space[64];
    stat("/", &root);
    answer("ustat", syscall(SYS_ustat, (unsigned)root.st_dev, space));
    answer("sysfs", syscall(SYS_sysfs, 3));
    answer("epoll_create", epoll_create(8));
    return failures;
}
