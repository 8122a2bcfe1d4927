/* signal_table: every function that carries signal sets or actions, over all signals and over random sets
 * from a fixed seed. Prints what each answered and what is read back; nothing in it depends on the run. With
 * an argument it prints the mask and the actions that an exec passed on. SIGSTKFLT is left out, and no set is
 * a full one: see signal_limits.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
extern sighandler_t sysv_signal(int, sighandler_t), bsd_signal(int, sighandler_t);
extern int xpg_sigpause(int) __asm__("__xpg_sigpause");
extern int bsd_sigpause(int) __asm__("sigpause");

#define BIT(s) (1ULL << ((s) - 1))
struct kernel_action { void *handler; unsigned long flags; void *restorer; uint64_t mask; };

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dULL;
}

static uint64_t random_set(void)
{
	uint64_t set = random_bits();
	/* Every third one is thin. */
	if (random_bits() % 3 == 0)
		set &= random_bits() & random_bits();
	return set & ~(BIT(SIGSTKFLT) | BIT(SIGPWR));
}

static sigset_t to_set(uint64_t bits)
{
	sigset_t set;
	sigemptyset(&set);
	memcpy(&set, &bits, 8);
	return set;
}

static uint64_t bits_of(const sigset_t *set)
{
	uint64_t bits;
	memcpy(&bits, set, 8);
	return bits;
}

static uint64_t mask(void)
{
	sigset_t now;
	sigemptyset(&now);
	sigprocmask(SIG_BLOCK, NULL, &now);
	return bits_of(&now);
}

static void unmask(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static volatile uint64_t mask_inside;
static volatile int came;
static void one(int sig) { mask_inside = mask(); came = sig; }
static void two(int sig, siginfo_t *info, void *context) { mask_inside = mask(); came = 100 + sig; }

static const char *name(void *handler)
{
	static char other[32];
	if (handler == (void *)one) return "one";
	if (handler == (void *)two) return "two";
	if (handler == SIG_DFL) return "default";
	if (handler == SIG_IGN) return "ignored";
	if (handler == SIG_ERR) return "error";
	if (handler == SIG_HOLD) return "held";
	snprintf(other, sizeof other, "other");
	return other;
}

/* The action as libc and as the kernel's call tell it, and the mask. */
static void show(const char *what, int sig, long result)
{
	struct sigaction libc;
	struct kernel_action kernel;
	int error = result == -1 ? errno : 0;
	memset(&libc, 0x55, sizeof libc);
	memset(&kernel, 0x55, sizeof kernel);
	int a = sigaction(sig, NULL, &libc);
	int b = syscall(SYS_rt_sigaction, sig, NULL, &kernel, 8);
	printf("%d %s: %ld %d; mask %llx;", sig, what, result, error, (unsigned long long)mask());
	if (a == 0)
		printf(" %s %x %llx", name(libc.sa_handler), libc.sa_flags, (unsigned long long)bits_of(&libc.sa_mask));
	if (b == 0)
		printf(" %s %lx %llx", name(kernel.handler), kernel.flags, (unsigned long long)kernel.mask);
	printf(" %d %d\n", a, b);
}

static void reset(int sig)
{
	struct kernel_action none = {0};
	syscall(SYS_rt_sigaction, sig, &none, NULL, 8);
	unmask();
}

static void show_handler(const char *what, int sig, sighandler_t old)
{
	int error = errno;
	printf("%s ", name((void *)old));
	errno = error;
	show(what, sig, old == SIG_ERR ? -1 : 0);
}

static void actions(int sig)
{
	static const int flags[] = {SA_RESTART, SA_SIGINFO, SA_NODEFER | SA_RESETHAND, SA_ONSTACK | SA_NOCLDSTOP, 0, 0x00000400};
	struct sigaction old;
	for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
		struct sigaction new = {.sa_flags = flags[i]};
		if (flags[i] & SA_SIGINFO)
			new.sa_sigaction = two;
		else
			new.sa_handler = one;
		new.sa_mask = to_set(random_set());
		memset(&old, 0, sizeof old);
		show("sigaction", sig, sigaction(sig, &new, &old));
		printf("  before: %s %x %llx\n", name(old.sa_handler), old.sa_flags, (unsigned long long)bits_of(&old.sa_mask));
		struct kernel_action kernel = {one, flags[i], NULL, random_set()}, was = {0};
		/* No handler runs by it: the action has no restorer. */
		show("rt_sigaction", sig, syscall(SYS_rt_sigaction, sig, &kernel, &was, 8));
		printf("  before: %s %lx %llx\n", name(was.handler), was.flags, (unsigned long long)was.mask);
		show("rt_sigaction, size", sig, syscall(SYS_rt_sigaction, sig, &kernel, &was, 4));
		show("rt_sigaction, bad", sig, syscall(SYS_rt_sigaction, sig, (void *)8, NULL, 8));
		show("rt_sigaction, bad old", sig, syscall(SYS_rt_sigaction, sig, NULL, (void *)8, 8));
	}
	reset(sig);
}

static void by_handler(int sig)
{
	show_handler("signal", sig, signal(sig, one));
	show_handler("signal", sig, signal(sig, SIG_IGN));
	show_handler("signal", sig, signal(sig, SIG_ERR));
	show_handler("ssignal", sig, ssignal(sig, one));
	show("siginterrupt", sig, siginterrupt(sig, 1));
	show_handler("signal", sig, signal(sig, one));
	show("siginterrupt", sig, siginterrupt(sig, 0));
	show_handler("bsd_signal", sig, bsd_signal(sig, SIG_DFL));
	show_handler("sysv_signal", sig, sysv_signal(sig, one));
	show_handler("sysv_signal", sig, sysv_signal(sig, SIG_ERR));
	show_handler("sigset", sig, sigset(sig, SIG_HOLD));
	show_handler("sigset", sig, sigset(sig, SIG_HOLD));
	show_handler("sigset", sig, sigset(sig, one));
	show_handler("sigset", sig, sigset(sig, SIG_ERR));
	show("sighold", sig, sighold(sig));
	show_handler("sigset", sig, sigset(sig, SIG_DFL));
	show("sighold", sig, sighold(sig));
	show("sigrelse", sig, sigrelse(sig));
	show("sigignore", sig, sigignore(sig));
	reset(sig);
}

/* A signal that waits is told by sigpending, comes when it is unblocked, and is forgotten by SIG_IGN. */
static void waiting(int sig)
{
	sigset_t set, now;
	uint64_t raw = 0;
	if (sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33)
		return;
	set = to_set(BIT(sig));
	for (int i = 0; i < 3; i++) {
		came = 0;
		signal(sig, one);
		sigprocmask(SIG_BLOCK, &set, NULL);
		kill(getpid(), sig);
		int a = sigpending(&now), b = syscall(SYS_rt_sigpending, &raw, 8);
		printf("%d waiting: %d %d %llx %llx %d\n", sig, a, b, (unsigned long long)bits_of(&now), (unsigned long long)raw, came);
		if (i == 1)
			signal(sig, SIG_IGN);
		if (i == 2)
			sigrelse(sig);
		else
			sigprocmask(SIG_UNBLOCK, &set, NULL);
		sigpending(&now);
		printf("%d then: %d, mask inside %llx, %llx\n", sig, came, (unsigned long long)mask_inside, (unsigned long long)bits_of(&now));
		mask_inside = 0;
		reset(sig);
	}
}

static void masks(void)
{
	sigset_t set, old;
	for (int i = 0; i < 200; i++) {
		int how = random_bits() % 4;
		uint64_t bits = random_set(), raw = 0, raw_old = 0;
		long result;
		set = to_set(bits);
		sigemptyset(&old);
		errno = 0;
		switch (i % 8) {
		case 0: result = sigprocmask(how, &set, &old); break;
		case 1: result = pthread_sigmask(how, &set, &old); break;
		case 2: result = syscall(SYS_rt_sigprocmask, how, &bits, &raw_old, 8L); break;
		case 3: result = sigblock((int)bits); break;
		case 4: result = sigsetmask((int)bits); break;
		case 5: result = siggetmask(); break;
		case 6: result = syscall(SYS_rt_sigprocmask, how, &bits, &raw_old, 4L); break;
		default: result = syscall(SYS_rt_sigprocmask, how, (void *)8, &raw_old, 8L); break;
		}
		int error = errno;
		syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &raw, 8L);
		printf("mask %d %d %llx: %ld %d, %llx %llx, now %llx %llx\n", i, how, (unsigned long long)bits, result, error,
		       (unsigned long long)bits_of(&old), (unsigned long long)raw_old, (unsigned long long)mask(), (unsigned long long)raw);
	}
	unmask();
}

/* Waits whose mask lets SIGUSR1 in, which waits already. */
static void waits(void)
{
	static const char *const names[] = {"sigsuspend", "pselect", "ppoll", "epoll_pwait", "epoll_pwait2", "sigpause", "xpg_sigpause",
		"rt_sigsuspend", "pselect6", "ppoll, raw", "epoll_pwait, raw", "epoll_pwait2, raw"};
	struct sigaction action = {.sa_handler = one};
	struct timespec soon = {20, 0};
	int epoll = epoll_create1(0);
	struct epoll_event event;
	for (int i = 0; i < 120; i++) {
		uint64_t bits = random_set() & ~BIT(SIGUSR1), before = random_set() | BIT(SIGUSR1);
		action.sa_mask = to_set(random_set());
		sigaction(SIGUSR1, &action, NULL);
		sigset_t set = to_set(bits), first = to_set(before);
		sigprocmask(SIG_SETMASK, &first, NULL);
		raise(SIGUSR1);
		came = 0;
		mask_inside = 0;
		errno = 0;
		long result = 0;
		struct { uint64_t *set; size_t size; } pair = {&bits, 8};
		struct timespec left = soon;
		switch (i % 12) {
		case 0: result = sigsuspend(&set); break;
		case 1: result = pselect(0, NULL, NULL, NULL, &soon, &set); break;
		case 2: result = ppoll(NULL, 0, &soon, &set); break;
		case 3: result = epoll_pwait(epoll, &event, 1, 20000, &set); break;
		case 4: result = epoll_pwait2(epoll, &event, 1, &soon, &set); break;
		case 5: result = bsd_sigpause((int)bits); break;
		case 6: result = xpg_sigpause(SIGUSR1); break;
		case 7: result = syscall(SYS_rt_sigsuspend, &bits, 8L); break;
		case 8: result = syscall(SYS_pselect6, 0, NULL, NULL, NULL, &left, &pair); break;
		case 9: result = syscall(SYS_ppoll, NULL, 0, &left, &bits, 8L); break;
		case 10: result = syscall(SYS_epoll_pwait, epoll, &event, 1, 20000, &bits, 8L); break;
		case 11: result = syscall(SYS_epoll_pwait2, epoll, &event, 1, &left, &bits, 8L); break;
		}
		printf("%s: %ld %d, came %d, inside %llx, after %llx\n", names[i % 12], result, errno, came, (unsigned long long)mask_inside, (unsigned long long)mask());
	}
	/* Bad sets and sizes are the kernel's to refuse. */
	printf("bad: %d", ppoll(NULL, 0, &soon, (void *)8));
	printf(" %d", errno);
	printf(" %ld", syscall(SYS_ppoll, NULL, 0, &soon, (void *)8, 8L));
	printf(" %ld", syscall(SYS_rt_sigsuspend, (void *)8, 8L));
	printf(" %ld\n", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &soon, (void *)8));
	close(epoll);
	unmask();
	reset(SIGUSR1);
}

static void descriptors(void)
{
	for (int i = 0; i < 40; i++) {
		uint64_t bits = random_set() | BIT(SIGUSR2);
		sigset_t set = to_set(bits), usr2 = to_set(BIT(SIGUSR2));
		struct signalfd_siginfo info = {0};
		int fd = i % 2 ? signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) : (int)syscall(SYS_signalfd4, -1, &bits, 8L, SFD_NONBLOCK);
		printf("signalfd %d", fd >= 0);
		sigprocmask(SIG_BLOCK, &usr2, NULL);
		raise(SIGUSR2);
		printf(" %ld %d", (long)read(fd, &info, sizeof info), info.ssi_signo);
		/* Changed in place: SIGUSR2 is in it no longer. */
		bits = random_set() & ~BIT(SIGUSR2);
		set = to_set(bits);
		int changed = signalfd(fd, &set, 0) == fd;
		signal(SIGUSR2, SIG_DFL);
		raise(SIGUSR2);
		printf(" %d %ld\n", changed, (long)read(fd, &info, sizeof info));
		signal(SIGUSR2, SIG_IGN);
		signal(SIGUSR2, SIG_DFL);
		unmask();
		close(fd);
	}
	errno = 0;
	printf("signalfd %d %d\n", signalfd(-1, (void *)8, 0), errno);
}

static void *in_thread(void *unused) { printf("thread %llx\n", (unsigned long long)mask()); return NULL; }

/* What threads, forks and execs are passed. */
static void inherited(char *self)
{
	for (int i = 0; i < 24; i++) {
		uint64_t bits = random_set();
		sigset_t set = to_set(bits), spawn_mask = to_set(random_set()), defaults = to_set(random_set());
		char *argv[] = {self, "show", NULL};
		pthread_t thread;
		pid_t child;
		int status = 0;
		posix_spawnattr_t attributes;
		for (int sig = 1; sig < 32; sig++)
			if (sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD && sig != SIGSTKFLT)
				signal(sig, random_bits() % 2 ? SIG_IGN : SIG_DFL);
		sigprocmask(SIG_SETMASK, &set, NULL);
		fflush(stdout);
		posix_spawnattr_init(&attributes);
		posix_spawnattr_setsigmask(&attributes, &spawn_mask);
		posix_spawnattr_setsigdefault(&attributes, &defaults);
		sigset_t back[2];
		posix_spawnattr_getsigmask(&attributes, &back[0]);
		posix_spawnattr_getsigdefault(&attributes, &back[1]);
		printf("attributes %llx %llx\n", (unsigned long long)bits_of(&back[0]), (unsigned long long)bits_of(&back[1]));
		fflush(stdout);
		switch (i % 4) {
		case 0:
			pthread_create(&thread, NULL, in_thread, NULL);
			pthread_join(thread, NULL);
			break;
		case 1:
			if ((child = fork()) == 0) {
				execv(self, argv);
				_exit(1);
			}
			waitpid(child, &status, 0);
			break;
		case 2:
			posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
			posix_spawn(&child, self, NULL, &attributes, argv, environ);
			waitpid(child, &status, 0);
			break;
		case 3:
			posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
			posix_spawnp(&child, self, NULL, &attributes, argv, environ);
			waitpid(child, &status, 0);
			break;
		}
		printf("status %x, mask %llx\n", status, (unsigned long long)mask());
		/* The parent is as it was. */
		for (int sig = 1; sig < 32; sig++)
			if (sig != SIGKILL && sig != SIGSTOP && sig != SIGSTKFLT)
				show("parent", sig, 0);
		posix_spawnattr_destroy(&attributes);
		unmask();
	}
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("passed on: mask %llx, ignored", (unsigned long long)mask());
		for (int sig = 1; sig < 32; sig++) {
			struct sigaction now;
			sigaction(sig, NULL, &now);
			if (now.sa_handler == SIG_IGN)
				printf(" %d", sig);
		}
		printf("\n");
		return 0;
	}
	unmask();
	for (int sig = -1; sig <= 65; sig++)
		if (sig != SIGSTKFLT) {
			actions(sig);
			by_handler(sig);
		}
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGSTKFLT)
			waiting(sig);
	masks();
	waits();
	descriptors();
	inherited(argv[0]);
	return 0;
}
