/* where_it_dies PROGRAM [ARGUMENT...]: traces it, hands every signal on, and prints the signal that ended it,
 * that signal's code and address, and the code at the instruction pointer at its end. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct user_regs_struct registers = {0};
	siginfo_t last = {0};
	int status;
	pid_t child = fork();
	if (argc < 2)
		return 2;
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[1], argv + 1);
		_exit(127);
	}
	waitpid(child, &status, 0);
	if (!WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC))
		return 3;
	long code = 0;
	for (int sig = 0; ptrace(PTRACE_CONT, child, NULL, sig) == 0;) {
		if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			break;
		sig = WSTOPSIG(status);
		if (status >> 16 == PTRACE_EVENT_EXIT) {
			ptrace(PTRACE_GETREGS, child, NULL, &registers);
			code = ptrace(PTRACE_PEEKTEXT, child, registers.rip, NULL);
		}
		if (status >> 16)
			sig = 0;
		else
			ptrace(PTRACE_GETSIGINFO, child, NULL, &last);
	}
	printf("signal %d, code %d, address %p, at %016lx\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0, last.si_code,
	       last.si_code > 0 ? last.si_addr : NULL, code);
	return 0;
}
