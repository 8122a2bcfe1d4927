/* ports [FILTERED]: what iopl(3) and ioperm of a port answer to nobody. With `ports` a filter of a parent's refuses both
 * with EPERM, with `other` one refuses ustat. Started as root. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refuse(unsigned first, unsigned second)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        int ports = !strcmp(argv[1], "ports");
        if (refuse(ports ? SYS_iopl : SYS_ustat, ports ? SYS_ioperm : SYS_ustat) == 0)
            execl("/proc/self/exe", argv[0], (char *)0);
        perror("ports");
        return 1;
    }
    if (setresuid(65534, 65534, 65534))
        return perror("setresuid"), 1;
    printf("iopl %s\n", syscall(SYS_iopl, 3) ? strerrorname_np(errno) : "answers");
    printf("ioperm %s\n", syscall(SYS_ioperm, 0x80, 1, 1) ? strerrorname_np(errno) : "answers");
    return 0;
}
