/* own_start: a program with its own entry point, as Go's linker makes them. Under musl no constructor runs
 * before it, neither of the program nor of a preload. Prints the kernel's release, by the old sysctl. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall begin\n\thlt\n");

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(2);
}

void begin(void)
{
    int name[] = {1, 2}; /* CTL_KERN, KERN_OSRELEASE */
    char text[128] = "";
    size_t length = sizeof text - 1;
    struct { int *name; int nlen; void *old; size_t *oldlen; void *new; size_t newlen; unsigned long spare[4]; }
        args = {name, 2, text, &length, 0, 0, {0}};
    int failed = syscall(156, &args) < 0;
    say(failed ? "fails" : text);
    say("\n");
    _exit(failed);
}
