/* segv MODE: a program that handles its own SIGSEGV in one way, and prints what it saw; the same with and
 * without evercall. Some modes die of it. Nothing printed depends on the run. */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static char alternate[1 << 16];
static __thread sigjmp_buf recovery;

static void set_alternate(void)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
	sigaltstack(&stack, NULL);
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
	sigaction(sig, &action, NULL);
}

static void jump(int sig, siginfo_t *info, void *context) { siglongjmp(recovery, 1); }

static int segv_blocked(void)
{
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, SIGSEGV);
}

/* Loads from an address with two bytes of code; gives what a handler left in RBX. xmm5 must live. */
static long faults(uintptr_t address)
{
	long value = 0x1111111111111111;
	double before = 2.5, after = 0;
	__asm__ volatile("movsd %3, %%xmm5\n\tmov %0, %%rbx\n\tmovb (%%rax), %%al\n\tmov %%rbx, %0\n\tmovsd %%xmm5, %1"
	                 : "+r"(value), "=m"(after) : "a"(address), "m"(before) : "rbx", "xmm5", "memory");
	return after == before ? value : -1;
}

static void step_over(void *context, long rbx)
{
	ucontext_t *uc = context;
	uc->uc_mcontext.gregs[REG_RIP] += 2;
	uc->uc_mcontext.gregs[REG_RBX] = rbx;
}

__attribute__((noinline)) static long dig(volatile char *above)
{
	volatile char here[512];
	here[0] = *above;
	return dig(here) + here[0];
}

static void overflow(int flags)
{
	struct rlimit limit = {1 << 20, 1 << 20};
	volatile char here = 0;
	setrlimit(RLIMIT_STACK, &limit);
	handle(SIGSEGV, jump, flags);
	printf("digging\n");
	fflush(stdout);
	for (volatile int i = 0; i < 20; i++)
		if (!sigsetjmp(recovery, 1))
			dig(&here);
	printf("recovered, blocked %d\n", segv_blocked());
}

static void stack_overflow(void) { set_alternate(); overflow(SA_ONSTACK); }
static void stack_overflow_nodefer(void) { set_alternate(); overflow(SA_ONSTACK | SA_NODEFER); }
/* These die. */
static void overflow_off_alternate(void) { set_alternate(); overflow(SA_NODEFER); }
static void overflow_without(void) { overflow(SA_ONSTACK); }

/* A handler that faults itself, five deep, returning through every frame. */
static volatile int depth;
static volatile long seen[8];
static volatile int on_alternate[8];
static void deeper(int sig, siginfo_t *info, void *context)
{
	char here;
	int level = depth++;
	double kept = level + 0.5;
	seen[level] = (long)info->si_addr;
	on_alternate[level] = (uintptr_t)&here - (uintptr_t)alternate < sizeof alternate;
	if (level < 5 && faults(64 * level + 64) != 1000 + level + 1)
		printf("wrong register at %d\n", level);
	if (kept != level + 0.5 || (long)info->si_addr != seen[level] || ((ucontext_t *)context)->uc_mcontext.gregs[REG_RBX] != 0x1111111111111111)
		printf("frame %d was overwritten\n", level);
	step_over(context, 1000 + level);
}

static void nest(int flags)
{
	for (int round = 0; round < 3; round++) {
		depth = 0;
		handle(SIGSEGV, deeper, flags | SA_NODEFER);
		printf("%ld", faults(8));
		for (int i = 0; i < 6; i++)
			printf(" %ld/%d", seen[i], on_alternate[i]);
		printf(" blocked %d\n", segv_blocked());
	}
}

/* Dies at its faulting instruction. */
static void dies(void) { printf("dying\n"); fflush(stdout); faults(0x48); }

static void nested(void) { nest(0); }
static void nested_on_alternate(void) { set_alternate(); nest(SA_ONSTACK); }
static void nested_off_alternate(void) { set_alternate(); nest(0); }

/* A fault in a handler that blocks SIGSEGV kills. */
static void faults_again(int sig, siginfo_t *info, void *context) { faults(64); printf("lived\n"); }
static void nested_deferred(void) { handle(SIGSEGV, faults_again, 0); printf("dying\n"); fflush(stdout); faults(8); }

/* Another signal's handler has the alternate stack while SIGSEGV's runs on the stack that faulted. */
static void scribble(int sig, siginfo_t *info, void *context)
{
	volatile char bytes[4096];
	memset((char *)bytes, 0xee, sizeof bytes);
	printf("other on alternate %d\n", (uintptr_t)bytes - (uintptr_t)alternate < sizeof alternate);
}
static void raises(int sig, siginfo_t *info, void *context)
{
	char here;
	printf("own on alternate %d\n", (uintptr_t)&here - (uintptr_t)alternate < sizeof alternate);
	raise(SIGUSR1);
	printf("%d %p blocked %d\n", info->si_code, info->si_addr, segv_blocked());
	step_over(context, 5);
}
static void other_signal(void)
{
	set_alternate();
	handle(SIGUSR1, scribble, SA_ONSTACK);
	handle(SIGSEGV, raises, 0);
	printf("%ld\n", faults(72));
	printf("%ld\n", faults(80));
}

/* What siginfo and context tell of every kind of fault. */
static void tell(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	int fault = info->si_code > 0;
	printf("signo %d code %d errno %d addr %p trap %lld err %llx", info->si_signo, info->si_code, info->si_errno,
	       fault && info->si_addr != (void *)alternate ? info->si_addr : NULL, fault ? uc->uc_mcontext.gregs[REG_TRAPNO] : 0, fault ? uc->uc_mcontext.gregs[REG_ERR] : 0);
	if (!fault)
		printf(" pid %d value %d", info->si_pid == getpid(), info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
	printf(" stack %d\n", uc->uc_stack.ss_sp == alternate);
	if (fault)
		siglongjmp(recovery, 1);
}
static void information(void)
{
	union sigval value = {.sival_int = 42};
	void *page = mmap((void *)0x10000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	set_alternate();
	for (volatile int i = 0; i < 2; i++) {
		handle(SIGSEGV, tell, i ? SA_ONSTACK : 0);
		if (!sigsetjmp(recovery, 1)) faults(16);
		if (!sigsetjmp(recovery, 1)) *(volatile char *)page = 1;
		if (!sigsetjmp(recovery, 1)) faults(0x8000000000000000);
		if (!sigsetjmp(recovery, 1)) ((void (*)(void))page)();
		if (!sigsetjmp(recovery, 1)) __asm__ volatile("hlt");
		if (!sigsetjmp(recovery, 1)) __asm__ volatile("int $0x20");
		raise(SIGSEGV);
		kill(getpid(), SIGSEGV);
		sigqueue(getpid(), SIGSEGV, value);
	}
}

/* A handler's changes of the mask in its context hold. */
static void block_usr1(int sig, siginfo_t *info, void *context)
{
	sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGUSR1);
	printf("inside %d\n", segv_blocked());
	step_over(context, 5);
}
static void context_mask(void)
{
	sigset_t now;
	for (int i = 0; i < 2; i++) {
		handle(SIGSEGV, block_usr1, i ? SA_ONSTACK : 0);
		set_alternate();
		faults(8);
		sigprocmask(SIG_BLOCK, NULL, &now);
		printf("after %d %d\n", sigismember(&now, SIGSEGV), sigismember(&now, SIGUSR1));
		sigemptyset(&now);
		sigprocmask(SIG_SETMASK, &now, NULL);
	}
}

/* A long jump out of the handler: without the saved mask SIGSEGV stays blocked, and the next fault kills. */
static void long_jump(void)
{
	handle(SIGSEGV, jump, 0);
	if (!sigsetjmp(recovery, 1))
		faults(8);
	printf("with mask %d\n", segv_blocked());
	if (!sigsetjmp(recovery, 0))
		faults(8);
	printf("without mask %d\n", segv_blocked());
	fflush(stdout);
	faults(8);
	printf("lived\n");
}

/* The faulting function is in a backtrace from the handler. */
static void trace(int sig, siginfo_t *info, void *context)
{
	void *frames[64];
	int found = -1, count = backtrace(frames, 64);
	for (int i = 0; i < count; i++)
		if ((uintptr_t)frames[i] == (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP])
			found = i;
	printf("the fault is frame %d of %s\n", found, count > found + 2 ? "more" : "few");
	step_over(context, 5);
}
static void backtraces(void)
{
	handle(SIGSEGV, trace, 0);
	faults(8);
	set_alternate();
	faults(8);
	handle(SIGSEGV, trace, SA_ONSTACK);
	faults(8);
}

/* 32 threads fault at once, each with an alternate stack of its own, and recover in both ways. */
static __thread volatile long mine;
static void recover(int sig, siginfo_t *info, void *context)
{
	mine++;
	if ((uintptr_t)info->si_addr & 8)
		siglongjmp(recovery, 1);
	step_over(context, (long)info->si_addr);
}
static void *many(void *number)
{
	stack_t stack = {.ss_sp = malloc(1 << 15), .ss_size = 1 << 15};
	volatile long wrong = 0;
	long id = (long)number;
	if (id % 3)
		sigaltstack(&stack, NULL);
	for (volatile long i = 0; i < 1000; i++) {
		uintptr_t address = (id * 64 + i % 4 * 8) & 0xfff;
		if (sigsetjmp(recovery, 1))
			continue;
		if (faults(address) != (long)address)
			wrong++;
	}
	return (void *)(wrong + 10 * (mine != 1000) + 100 * segv_blocked());
}
static void threads(void)
{
	for (int flags = 0; flags < 2; flags++) {
		pthread_t all[32];
		handle(SIGSEGV, recover, flags ? SA_ONSTACK : 0);
		for (long i = 0; i < 32; i++)
			pthread_create(&all[i], NULL, many, (void *)i);
		for (int i = 0; i < 32; i++) {
			void *result;
			pthread_join(all[i], &result);
			printf("%ld ", (long)result);
		}
		printf("\n");
	}
}

/* A sent SIGSEGV interrupts a call only if the handler wants that: a child sends one, then writes. */
static volatile int handled;
static void count(int sig, siginfo_t *info, void *context) { handled++; }
static int is_reading(pid_t pid)
{
	char path[64], line[256] = "";
	snprintf(path, sizeof path, "/proc/%d/syscall", pid);
	FILE *file = fopen(path, "r");
	if (!file)
		_exit(5);
	if (!fgets(line, sizeof line, file))
		line[0] = 0;
	fclose(file);
	return !strncmp(line, "0 ", 2);
}
/* Sent, and not taken yet: once taken, it has ended the call that it interrupts. */
static int has_waiting(pid_t pid)
{
	char path[64], line[256];
	unsigned long long set = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "ShdPnd: %llx", &set) == 1)
			break;
	fclose(file);
	return set >> (SIGSEGV - 1) & 1;
}
static void interrupted(int flags, int ignored)
{
	int ends[2], status;
	char byte = 0;
	if (pipe(ends))
		exit(2);
	if (ignored)
		signal(SIGSEGV, SIG_IGN);
	else
		handle(SIGSEGV, count, flags);
	handled = 0;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		while (!is_reading(getppid()))
			;
		kill(getppid(), SIGSEGV);
		while (has_waiting(getppid()))
			;
		_exit(write(ends[1], "x", 1) != 1);
	}
	long result = read(ends[0], &byte, 1);
	int error = errno;
	waitpid(child, &status, 0);
	printf("read %ld %d, handled %d, child %x\n", result, result < 0 ? error : 0, handled, status);
	close(ends[0]);
	close(ends[1]);
}
static void restart(void)
{
	interrupted(SA_RESTART, 0);
	interrupted(0, 0);
	interrupted(0, 1);
}

static const struct { const char *name; void (*run)(void); } modes[] = {
	{"stack_overflow", stack_overflow}, {"stack_overflow_nodefer", stack_overflow_nodefer},
	{"overflow_off_alternate", overflow_off_alternate}, {"overflow_without", overflow_without}, {"nested", nested},
	{"nested_on_alternate", nested_on_alternate}, {"nested_off_alternate", nested_off_alternate},
	{"nested_deferred", nested_deferred}, {"other_signal", other_signal}, {"information", information},
	{"context_mask", context_mask}, {"long_jump", long_jump}, {"backtraces", backtraces}, {"threads", threads},
	{"restart", restart}, {"dies", dies},
};

int main(int argc, char **argv)
{
	struct rlimit no_core = {0, 0};
	if (!getenv("KEEP_CORE"))
		setrlimit(RLIMIT_CORE, &no_core);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (argc < 2)
			puts(modes[i].name);
		else if (!strcmp(argv[1], modes[i].name)) {
			modes[i].run();
			return 0;
		}
	return argc < 2 ? 0 : 2;
}
