/* syscall_registers: what reaches the kernel when syscall() is called. A filter turns each call into SIGSYS;
 * the handler prints number and six registers, and answers. One line a call: registers, result, errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Unclaimed by any rule; claimed; watched while a log is counted or an exec is looked after; beyond the table. */
static const long numbers[] = {SYS_mremap, SYS_pselect6, 311, 136, 139, 156, 213, 231, SYS_execve, 511, 512, 5000};
static const unsigned long answers[] = {(unsigned long)-EXDEV, 0, 0x7123456789abcdefUL, 0x80000000UL, (unsigned long)-4095};

static volatile unsigned long answer, seen[7];
static volatile int traps;

static void trapped(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const int order[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    for (int i = 0; i < 6; i++)
        seen[i] = registers[order[i]];
    seen[6] = info->si_syscall;
    traps++;
    registers[REG_RAX] = answer;
}

int main(void)
{
    struct sock_filter filter[64];
    unsigned short length = 0;
    size_t count = sizeof numbers / sizeof *numbers;
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t n = 0; n < count; n++) {
        /* exit_group is let through when its status is small: the program's own end. */
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[n], 0, 1);
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 2 * (count - n) - 1, 0, 0);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 4);
    filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x11110000, 0, 1);
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, filter};
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("seccomp");
        return 1;
    }
    for (int round = 0; round < 2; round++)
        for (size_t n = 0; n < count; n++)
            for (size_t a = 0; a < sizeof answers / sizeof *answers; a++) {
                answer = answers[a];
                traps = 0;
                errno = 77;
                long result = syscall(numbers[n], 0x1111000011110001, 0x2222000022220002, 0x3333000033330003,
                                      0x4444000044440004, 0x5555000055550005, 0x6666000066660006);
                printf("%ld: %lx %lx %lx %lx %lx %lx", (long)seen[6], seen[0], seen[1], seen[2], seen[3], seen[4], seen[5]);
                printf(" -> %lx, errno %d, asked %d\n", result, errno, traps);
            }
    return 0;
}
