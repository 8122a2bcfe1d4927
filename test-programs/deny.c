/* deny ERRNO CALL[,CALL...] PROGRAM [ARGS...]: runs a program under a seccomp filter that answers the
 * named calls (or numbers) with an errno (a name, or its number), with KILL, or with TRAP (SIGSYS). */
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

static const struct { const char *name; long number; } calls[] = {
    {"_sysctl", 156}, {"ustat", 136}, {"sysfs", 139}, {"query_module", 178}, {"get_kernel_syms", 177},
    {"uselib", 134}, {"epoll_create", 213}, {"getpmsg", 181}, {"putpmsg", 182},
    {"process_vm_readv", 310}, {"process_vm_writev", 311}, {"prlimit64", 302}, {"clone", 56},
};

static long call_number(const char *name)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(name, calls[i].name))
            return calls[i].number;
    char *end;
    long number = strtol(name, &end, 10);
    if (*name && !*end)
        return number;
    fprintf(stderr, "deny: unknown call %s\n", name);
    exit(1);
}

static unsigned action(const char *name)
{
    if (!strcmp(name, "ENOSYS")) return SECCOMP_RET_ERRNO | ENOSYS;
    if (!strcmp(name, "EPERM")) return SECCOMP_RET_ERRNO | EPERM;
    if (!strcmp(name, "EACCES")) return SECCOMP_RET_ERRNO | EACCES;
    if (!strcmp(name, "KILL")) return SECCOMP_RET_KILL_PROCESS;
    if (!strcmp(name, "TRAP")) return SECCOMP_RET_TRAP;
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (*name && !*end && number < 4096)
        return SECCOMP_RET_ERRNO | number;
    fprintf(stderr, "deny: unknown action %s\n", name);
    exit(1);
}

int main(int argc, char **argv)
{
    struct sock_filter filter[1024];
    unsigned short length = 0;
    if (argc < 4) {
        fputs("usage: deny ENOSYS|EPERM|EACCES|KILL|TRAP CALL[,CALL...] PROGRAM [ARGS...]\n", stderr);
        return 1;
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (char *name = strtok(argv[2], ","); name && length < 1020; name = strtok(NULL, ",")) {
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call_number(name), 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action(argv[1]));
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("deny: seccomp");
        return 1;
    }
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 127;
}
