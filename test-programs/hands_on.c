/* hands_on: calls that evercall's rules need not carry out on most hosts: syscall(SYS_getpid) twice, ustat once, then
 * execve of /bin/true. Prints whether they succeeded. */
#include "translate.h"
#include <stdio.h>

extern int ustat(unsigned, void *) __attribute__((weak));

int main(int argc, char **argv)
{
    char *arguments[] = {"true", 0};
    struct stat root;
    long fs[8];
    stat("/", &root);
    int right = syscall(SYS_getpid) == getpid() && syscall(SYS_getppid) == getppid();
    int free = ustat(root.st_dev, fs);
    printf("syscall %d, ustat %d\n", right, free);
    fflush(stdout);
    execve("/bin/true", arguments, environ);
    return 1;
}
