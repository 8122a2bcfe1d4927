/* six_arguments: real calls through syscall() where the sixth argument or all 64 bits of the result matter,
 * and calls that fail. One line each. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *what, long result)
{
    printf("%s: %ld, errno %d\n", what, result, errno);
    errno = 77;
}

int main(void)
{
    errno = 77;
    int fd = syscall(SYS_memfd_create, "pages", 0);
    tell("memfd_create", fd >= 0);
    for (int page = 0; page < 3; page++)
        tell("pwrite", syscall(SYS_pwrite64, fd, &"abc"[page], 1, 4096L * page));
    char *third = (char *)syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, 8192L);
    printf("the third page holds %c\n", third == MAP_FAILED ? '?' : *third);
    tell("mmap of an odd offset", syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, 1L));

    char from[] = "moved", to[sizeof from] = "";
    struct iovec local = {to, sizeof to}, remote = {from, sizeof from};
    tell("process_vm_readv with flags", syscall(SYS_process_vm_readv, getpid(), &local, 1L, &remote, 1L, 1L));
    tell("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), &local, 1L, &remote, 1L, 0L));
    printf("%s\n", to);

    struct timespec none = {0, 0};
    unsigned long set = 0;
    struct { unsigned long *set; size_t size; } good = {&set, 8}, bad = {&set, 7};
    tell("pselect6", syscall(SYS_pselect6, 0, 0L, 0L, 0L, &none, &good));
    tell("pselect6, bad mask size", syscall(SYS_pselect6, 0, 0L, 0L, 0L, &none, &bad));

    tell("lseek far", syscall(SYS_lseek, fd, 0x123456789abL, SEEK_SET));
    tell("close of no descriptor", syscall(SYS_close, -1));
    tell("no such call", syscall(4999));
    tell("number -1", syscall(-1));
    tell("getpid", syscall(SYS_getpid) == getpid());
    return 0;
}
