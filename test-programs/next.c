/* next: calls epoll_create() twice and prints, for each, `a descriptor`, or the number where it is none. */
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

int main(void)
{
    for (int call = 0; call < 2; call++) {
        int answer = epoll_create(1);
        if (answer < 0)
            perror("epoll_create");
        else if (close(answer) == 0)
            puts("a descriptor");
        else
            printf("%d\n", answer);
    }
    return 0;
}
