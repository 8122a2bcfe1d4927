/* own_filter prctl|seccomp kill|eperm [PROGRAM...]: installs a seccomp filter of its own. `kill` ends the process
 * at every call but those the program makes from there on, and then asks ustat(2); `eperm` refuses clone3 and
 * faccessat2, and executes the program. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NR_ustat = 136, NR_faccessat2 = 439, NR_clone3 = 435 };

#define ANSWER(number, action) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define LOAD BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))

static struct sock_filter sandbox[] = {
    LOAD,
    ANSWER(NR_ustat, SECCOMP_RET_ALLOW),
    ANSWER(SYS_write, SECCOMP_RET_ALLOW),
    ANSWER(SYS_exit_group, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static struct sock_filter refusing[] = {
    LOAD,
    ANSWER(NR_clone3, SECCOMP_RET_ERRNO | EPERM),
    ANSWER(NR_faccessat2, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(3);
}

int main(int argc, char **argv)
{
    int kill = !strcmp(argv[2], "kill");
    struct sock_fprog program = {kill ? sizeof sandbox / sizeof *sandbox : sizeof refusing / sizeof *refusing,
                                 kill ? sandbox : refusing};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    long failed = !strcmp(argv[1], "prctl") ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
                                            : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    if (failed)
        return 2;
    if (!kill) {
        execvp(argv[3], argv + 3);
        return 127;
    }
    char buffer[64];
    long result = syscall(NR_ustat, -1, buffer);
    say(result == 0 ? "ustat 0\n" : errno == ENOSYS ? "ustat ENOSYS\n" : errno == EINVAL ? "ustat EINVAL\n" : "ustat ?\n");
    return 0;
}
