/*
 * refuse old|old_calls PRELOAD|- PROGRAM [ARGUMENTS]: runs a program under a seccomp filter as a container host sets
 * one, which answers EPERM. `old` refuses what a profile of 2019 does not know; `old_calls` refuses epoll_create
 * too. The preload, if any, is the program's alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* epoll_create first; then close_range, clone3, openat2, pidfd_getfd and all younger ones up to 470. */
enum { EPOLL_CREATE = 213, FIRST_YOUNG = 435, LAST_YOUNG = 470 };

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, EPOLL_CREATE, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_YOUNG, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_YOUNG, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

	if (argc < 4)
		return 2;
	if (strcmp(argv[1], "old_calls"))
		filter[1].jt = 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("refuse: seccomp");
		return 1;
	}
	if (strcmp(argv[2], "-"))
		setenv("LD_PRELOAD", argv[2], 1);
	execv(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}
