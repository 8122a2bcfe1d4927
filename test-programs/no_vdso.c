/* no_vdso PROGRAM [ARGUMENT...]: runs it as a kernel without a vDSO would, its AT_SYSINFO_EHDR taken out of the
 * auxiliary vector before the first instruction. Ends as it ends. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static long word(pid_t child, unsigned long at)
{
	errno = 0;
	long value = ptrace(PTRACE_PEEKDATA, child, at, NULL);
	if (errno)
		exit(3);
	return value;
}

int main(int argc, char **argv)
{
	struct user_regs_struct registers;
	int status, hidden = 0;
	pid_t child = fork();
	if (argc < 2)
		return 2;
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[1], argv + 1);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, child, NULL, &registers))
		return 3;
	unsigned long at = registers.rsp + 8 * (word(child, registers.rsp) + 2);
	while (word(child, at))
		at += 8;
	for (at += 8; word(child, at) != AT_NULL; at += 16)
		if (word(child, at) == AT_SYSINFO_EHDR)
			hidden = !ptrace(PTRACE_POKEDATA, child, at, AT_IGNORE);
	if (!hidden)
		return 3;
	ptrace(PTRACE_DETACH, child, NULL, NULL);
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	return WEXITSTATUS(status);
}
