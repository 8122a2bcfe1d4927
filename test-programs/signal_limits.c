/* signal_limits MODE: what the virtual SIGSEGV of the vsyscall rule cannot hide. Prints what the program sees,
 * which is one thing bare and another under evercall. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static sigset_t set_of(int sig)
{
	sigset_t set;
	sigemptyset(&set);
	if (sig)
		sigaddset(&set, sig);
	return set;
}

static int blocked(int sig)
{
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, sig);
}

/* What the kernel has blocked: 1 for SIGSEGV, 2 for SIGSTKFLT. */
static int really_blocked(void)
{
	char line[256];
	unsigned long long mask = 0;
	FILE *status = fopen("/proc/thread-self/status", "r");
	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "SigBlk: %llx", &mask) == 1)
			break;
	fclose(status);
	return (mask >> (SIGSEGV - 1) & 1) + 2 * (mask >> (SIGSTKFLT - 1) & 1);
}

/* SIGSTKFLT carries the bit of SIGSEGV: blocked alone it is not, and reads as blocked only in a full mask. */
static void carrier(void)
{
	sigset_t set = set_of(SIGSTKFLT), full;
	sigprocmask(SIG_SETMASK, &set, NULL);
	printf("alone %d", blocked(SIGSTKFLT));
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_SETMASK, &set, NULL);
	printf(", with SIGSEGV %d", blocked(SIGSTKFLT));
	sigfillset(&full);
	sigprocmask(SIG_SETMASK, &full, NULL);
	printf(", full %d", blocked(SIGSTKFLT));
	set = set_of(SIGSTKFLT);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	printf(", SIGSEGV after unblocking it %d\n", blocked(SIGSEGV));
}

/* A SIGSEGV that somebody sends does not come by a descriptor, nor to sigtimedwait. */
static void taken(void)
{
	sigset_t set = set_of(SIGSEGV);
	struct timespec none = {0, 0};
	struct signalfd_siginfo info;
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGSEGV);
	printf("signalfd %d", read(fd, &info, sizeof info) == sizeof info);
	kill(getpid(), SIGSEGV);
	printf(", sigtimedwait %d\n", sigtimedwait(&set, NULL, &none) == SIGSEGV);
}

/* Inside libc setcontext(3) sets the mask unseen. */
static void contexts(void)
{
	static ucontext_t here, there;
	volatile int turn = 0;
	sigset_t set = set_of(SIGSEGV);
	getcontext(&there);
	if (turn++ == 0) {
		there.uc_sigmask = set;
		setcontext(&there);
	}
	printf("setcontext: blocked %d in the kernel %d\n", blocked(SIGSEGV), really_blocked());
	set = set_of(0);
	sigprocmask(SIG_SETMASK, &set, NULL);
	turn = 0;
	getcontext(&there);
	if (turn++ == 0) {
		there.uc_sigmask = set_of(SIGSEGV);
		swapcontext(&here, &there);
	}
	printf("swapcontext: blocked %d in the kernel %d\n", blocked(SIGSEGV), really_blocked());
}

static void *nothing(void *unused) { printf("thread: blocked %d in the kernel %d\n", blocked(SIGSEGV), really_blocked()); return NULL; }

/* A mask in a thread's attributes goes to the kernel as it is; an inherited one is the program's. */
static void thread(void)
{
	pthread_t id;
	pthread_attr_t attributes;
	sigset_t set = set_of(SIGSEGV);
	pthread_attr_init(&attributes);
	pthread_attr_setsigmask_np(&attributes, &set);
	pthread_create(&id, &attributes, nothing, NULL);
	pthread_join(id, NULL);
}

/* A child by vfork shares the memory where the program's action is kept. */
static void handler(int sig) { }
static void vforked(void)
{
	struct sigaction now;
	signal(SIGSEGV, handler);
	pid_t child = vfork();
	if (child == 0) {
		signal(SIGSEGV, SIG_IGN);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	sigaction(SIGSEGV, NULL, &now);
	printf("after vfork: %s\n", now.sa_handler == handler ? "own" : "the child's");
}

/* The context of a handler holds the kernel's mask. */
static void look(int sig, siginfo_t *info, void *context)
{
	sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
	printf("context: SIGSEGV %d SIGSTKFLT %d\n", sigismember(mask, SIGSEGV), sigismember(mask, SIGSTKFLT));
}
static void context(void)
{
	struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
	sigset_t set = set_of(SIGSEGV);
	sigaction(SIGUSR1, &action, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
}

/* system(3) execs inside libc: what is ignored or blocked for the program is not so for its child. */
static void libc_exec(void)
{
	signal(SIGSEGV, SIG_IGN);
	fflush(stdout);
	if (system("exec sed -n 's/^SigIgn:.*\\(.\\)..$/ignored \\1/p' /proc/self/status"))
		exit(1);
}

static const struct { const char *name; void (*run)(void); } modes[] = {
	{"carrier", carrier}, {"taken", taken}, {"contexts", contexts}, {"thread", thread}, {"vforked", vforked},
	{"context", context}, {"libc_exec", libc_exec},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(argv[1], modes[i].name)) {
			modes[i].run();
			return 0;
		}
	return 2;
}
