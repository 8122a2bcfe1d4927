/* next: calls epoll_create() twice and prints, for each, `a descriptor`, or the number where it is none.
 * next others: calls ustat, sysctl and getmsg, each twice, and prints the numbers; `nobody` for one that
 * neither a preload nor a libc defines. */
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef unsigned long word;
extern int ustat(word, word) __attribute__((weak));
extern int sysctl(word, word, word, word, word, word) __attribute__((weak));
extern int getmsg(int, word, word, word) __attribute__((weak));

static void others(void)
{
    if (!ustat || !sysctl || !getmsg)
        puts("nobody");
    else
        printf("%d %d %d\n", ustat(1, 2), sysctl(1, 2, 3, 4, 5, 6), getmsg(1, 2, 3, 4));
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        others();
        others();
        return 0;
    }
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
