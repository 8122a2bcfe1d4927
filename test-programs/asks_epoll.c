/* asks_epoll: libc's epoll_create by its symbol. Prints whether a good size gave a descriptor, and the errno that 0 gave. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

int main(void)
{
    int fd = epoll_create(1);
    int bad = epoll_create(0);
    printf("epoll_create %d, errno of 0: %d\n", fd >= 0, bad == -1 ? errno : 0);
    return 0;
}
