/* vsyscall MODE: calls the vsyscall page at its fixed addresses in one way, and prints what came of it, or
 * `MODE wrong: LINE` and exits 1. Where the page is missing a bare program dies of SIGSEGV (139). */
#define _GNU_SOURCE
#include "vsyscall.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

long (*volatile page_getcpu_pointer)(unsigned *, unsigned *) = (void *)0xffffffffff600800;

static const char *mode;

#define CHECK(c) do { if (!(c)) { printf("%s wrong: line %d: %s\n", mode, __LINE__, #c); fflush(stdout); _exit(1); } } while (0)

static void three_calls(void)
{
    struct timeval tv = {0, 0};
    struct timezone tz;
    unsigned cpu = -1, node = -1;
    time_t t = 0, now = syscall(SYS_time, NULL);
    long result = page_time(&t);
    CHECK(result == t && t >= now && t <= now + 60);
    CHECK(page_time(NULL) >= now);
    CHECK(page_gettimeofday(&tv, &tz) == 0 && tv.tv_sec >= now && tv.tv_sec <= now + 60 && tv.tv_usec < 1000000);
    CHECK(page_gettimeofday(&tv, NULL) == 0);
    CHECK(page_getcpu(&cpu, &node) == 0 && cpu < 4096 && node < 1024);
}

static void plain(void)
{
    for (int i = 0; i < 1000; i++)
        three_calls();
}

/* RBX, RBP, R12-R15, RDI, RSI and errno are as before the call. */
static void registers(void)
{
    for (int i = 0; i < 2; i++) {
        unsigned long rdi = 0, rsi = 0x1234, r12 = 0x5678, rdx = 0x9abc, r8 = 0xdef0;
        register unsigned long r12r __asm__("r12") = r12;
        long result;
        errno = 77;
        __asm__ volatile("mov $0xffffffffff600400, %%rax\n\tnop\n\tcall *%%rax"
                         : "=a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r12r) : : "rcx", "r8", "r9", "r10", "r11", "memory");
        CHECK(result > 1000000000 && rdi == 0 && rsi == 0x1234 && rdx == 0x9abc && r12r == 0x5678 && errno == 77);
        (void)r8;
    }
}

static volatile sig_atomic_t handled;
static void call_in_handler(int sig) { three_calls(); handled++; }

static void in_handler(void)
{
    struct sigaction sa = {.sa_handler = call_in_handler};
    sigfillset(&sa.sa_mask);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    for (int i = 0; i < 10; i++)
        raise(SIGUSR1);
    CHECK(handled == 10);
    struct sigaction back;
    CHECK(sigaction(SIGUSR1, NULL, &back) == 0 && sigismember(&back.sa_mask, SIGSEGV) == 1 && back.sa_handler == call_in_handler);
    CHECK(sigismember(&back.sa_mask, SIGTERM) == 1);
}

static sigjmp_buf recovery;
static void *volatile fault_address;
static int fault_code;
static void recover(int sig, siginfo_t *info, void *context)
{
    fault_address = info->si_addr;
    fault_code = info->si_code;
    siglongjmp(recovery, 1);
}

static void touch(uintptr_t address)
{
    if (!sigsetjmp(recovery, 1)) {
        *(volatile char *)address = 1;
        CHECK(!"no fault");
    }
}

/* As a JVM does: null pointers are recovered from, again and again. */
static void own_handler(void)
{
    struct sigaction sa = {.sa_sigaction = recover, .sa_flags = SA_SIGINFO}, back;
    sigemptyset(&sa.sa_mask);
    CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
    CHECK(sigaction(SIGSEGV, NULL, &back) == 0);
    CHECK(back.sa_sigaction == recover && (back.sa_flags & SA_SIGINFO));
    for (uintptr_t i = 0; i < 50; i++) {
        three_calls();
        touch(8 * i);
        CHECK(fault_address == (void *)(8 * i) && fault_code == SEGV_MAPERR);
    }
    three_calls();
    CHECK(signal(SIGSEGV, SIG_DFL) == (void *)recover);
    three_calls();
}

/* A handler that changes the context and returns. */
static void skip(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uc->uc_mcontext.gregs[REG_RIP] += 2; /* movb (%rax), %al is two bytes */
    uc->uc_mcontext.gregs[REG_RBX] = 42;
}

static void context(void)
{
    struct sigaction sa = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
    alarm(3); /* Bare, this handler comes back to the jump for ever. */
    CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        long value = 0;
        __asm__ volatile("xor %%eax, %%eax\n\tmovb (%%rax), %%al\n\tmov %%rbx, %0" : "=r"(value) : : "rax", "rbx", "memory");
        CHECK(value == 42);
        three_calls();
    }
}

static int deferred_calls;
static sigset_t inside;
static void look_at_mask(int sig)
{
    sigprocmask(SIG_BLOCK, NULL, &inside);
    three_calls();
    deferred_calls++;
    siglongjmp(recovery, 1);
}

/* SIGSEGV is blocked inside its own handler unless SA_NODEFER; SA_RESETHAND resets; masks add up. */
static void flags(void)
{
    struct sigaction sa = {.sa_handler = look_at_mask}, back;
    sigset_t now;
    sigaddset(&sa.sa_mask, SIGUSR2);
    CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
    touch(0);
    CHECK(deferred_calls == 1 && sigismember(&inside, SIGSEGV) == 1 && sigismember(&inside, SIGUSR2) == 1 && sigismember(&inside, SIGTERM) == 0);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGSEGV) == 0 && sigismember(&now, SIGUSR2) == 0);
    sa.sa_flags = SA_NODEFER | SA_RESETHAND;
    CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
    touch(0);
    CHECK(deferred_calls == 2 && sigismember(&inside, SIGSEGV) == 0);
    CHECK(sigaction(SIGSEGV, NULL, &back) == 0 && back.sa_handler == SIG_DFL);
    three_calls();
}

static void blocked(void)
{
    sigset_t all, old, now;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, &old) == 0 && sigismember(&old, SIGSEGV) == 0);
    three_calls();
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
    for (int sig = 1; sig < 32; sig++)
        CHECK(sig == SIGKILL || sig == SIGSTOP || sigismember(&now, sig) == 1);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGSEGV) == 0);
    sigemptyset(&all);
    sigaddset(&all, SIGSEGV);
    CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0 && pthread_sigmask(SIG_BLOCK, NULL, &now) == 0);
    CHECK(sigismember(&now, SIGSEGV) == 1 && sigismember(&now, SIGSTKFLT) == 0 && sigismember(&now, SIGUSR1) == 0);
    three_calls();
    unsigned long kernel_set = 0;
    CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &kernel_set, 8) == 0 && kernel_set == 1UL << (SIGSEGV - 1));
    CHECK(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &kernel_set, NULL, 8) == 0);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGSEGV) == 0);
    three_calls();
}

/* A SIGSEGV that is sent while it is blocked waits. */
static volatile sig_atomic_t sent;
static void on_sent(int sig, siginfo_t *info, void *context) { sent += info->si_code == SI_TKILL || info->si_code == SI_USER ? 1 : 100; }
static void pending(void)
{
    struct sigaction sa = {.sa_sigaction = on_sent, .sa_flags = SA_SIGINFO};
    sigset_t set, old;
    alarm(3); /* Bare, this handler comes back to the jump for ever. */
    CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
    kill(getpid(), SIGSEGV);
    CHECK(sent == 1);
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    kill(getpid(), SIGSEGV);
    CHECK(sent == 1);
    sigset_t waiting;
    CHECK(sigpending(&waiting) == 0 && sigismember(&waiting, SIGSEGV) == 1);
    /* No call here: while one waits it is blocked in the kernel, and a jump to the page kills. */
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    CHECK(sent == 2);
    three_calls();
    /* It comes inside sigsuspend, and a child does not inherit it. */
    int status;
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    kill(getpid(), SIGSEGV);
    pid_t pid = fork();
    if (pid == 0)
        _exit(sigpending(&waiting) || sigismember(&waiting, SIGSEGV));
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(sent == 2 && sigsuspend(&old) == -1 && errno == EINTR && sent == 3);
    CHECK(sigprocmask(SIG_SETMASK, &old, &waiting) == 0 && sigismember(&waiting, SIGSEGV) == 1);
    three_calls();
    CHECK(signal(SIGSEGV, SIG_IGN) == (void *)on_sent);
    kill(getpid(), SIGSEGV);
    CHECK(sent == 3);
    three_calls();
}

static volatile uintptr_t handler_stack;
static void where_am_i(int sig) { char here; handler_stack = (uintptr_t)&here; three_calls(); siglongjmp(recovery, 1); }

/* SA_ONSTACK runs on the alternate stack, without it on the stack that faulted. */
static void altstack(void)
{
    static char stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction sa = {.sa_handler = where_am_i, .sa_flags = SA_ONSTACK};
    CHECK(sigaltstack(&ss, NULL) == 0 && sigaction(SIGSEGV, &sa, NULL) == 0);
    touch(0);
    CHECK(handler_stack - (uintptr_t)stack < sizeof stack);
    sa.sa_flags = 0;
    CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
    touch(0);
    CHECK(handler_stack - (uintptr_t)stack >= sizeof stack);
    three_calls();
}

static void in_vfork(void)
{
    int status;
    pid_t pid = vfork();
    if (pid == 0) {
        three_calls();
        _exit(7);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    three_calls();
    pid = fork();
    if (pid == 0) {
        three_calls();
        _exit(8);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 8);
}

static void jit(void)
{
    /* mov $0xffffffffff600400, %rax; call *%rax; ret, in a page that is only executable. */
    static const unsigned char code[] = "\x48\x83\xec\x08\x48\xc7\xc0\x00\x04\x60\xff\xff\xd0\x48\x83\xc4\x08\xc3";
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    memcpy(page, code, sizeof code);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    long (*made)(time_t *) = (long (*)(time_t *))page;
    for (int i = 0; i < 100; i++) {
        time_t t = 0;
        CHECK(made(&t) == t && t > 1000000000);
    }
}

static void *thread(void *blocks)
{
    sigset_t all, now;
    if (blocks) {
        sigfillset(&all);
        CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    }
    for (int i = 0; i < 200; i++)
        three_calls();
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGSEGV) == (blocks != NULL));
    return NULL;
}

static void *inherits(void *unused)
{
    sigset_t now;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGSEGV) == 1);
    three_calls();
    return NULL;
}

static void threads(void)
{
    pthread_t all[16];
    for (int i = 0; i < 16; i++)
        CHECK(pthread_create(&all[i], NULL, thread, i % 2 ? &all : NULL) == 0);
    for (int i = 0; i < 16; i++)
        pthread_join(all[i], NULL);
    sigset_t segv;
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    CHECK(pthread_sigmask(SIG_BLOCK, &segv, NULL) == 0);
    CHECK(pthread_create(&all[0], NULL, inherits, NULL) == 0);
    pthread_join(all[0], NULL);
}

/* The masks of waits: SIGSEGV in them does not kill a handler that calls the page. */
static void waits(void)
{
    struct sigaction sa = {.sa_handler = call_in_handler};
    struct timespec soon = {5, 0};
    sigset_t usr1, but_usr1, now;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &usr1, NULL) == 0);
    sigfillset(&but_usr1);
    sigdelset(&but_usr1, SIGUSR1);
    raise(SIGUSR1);
    CHECK(sigsuspend(&but_usr1) == -1 && errno == EINTR && handled == 1);
    raise(SIGUSR1);
    CHECK(ppoll(NULL, 0, &soon, &but_usr1) == -1 && errno == EINTR && handled == 2);
    raise(SIGUSR1);
    CHECK(pselect(0, NULL, NULL, NULL, &soon, &but_usr1) == -1 && errno == EINTR && handled == 3);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGUSR1) == 1 && sigismember(&now, SIGSEGV) == 0);
}

/* After its first fault a call site reaches the vDSO: by one byte of its code, or by the pointer it goes
 * through. A site of another form stays as it was, and is answered each time. */
static void patched(void)
{
    static const unsigned char was[] = {0x00, 0x04, 0x60, 0xff}, is[] = {0x00, 0x04, 0x60, 0x7f};
    const unsigned char *code = (const unsigned char *)(uintptr_t)page_time;
    CHECK(memmem(code, 64, was, 4) != NULL);
    three_calls();
    CHECK(memmem(code, 64, was, 4) == NULL && memmem(code, 64, is, 4) != NULL);
    CHECK((uintptr_t)page_getcpu_pointer == 0x7f600800);
    three_calls();
    registers();
    CHECK(memmem((void *)(uintptr_t)registers, 512, was, 4) != NULL);
}

/* sigset and its family, as SVID has them. */
static void svid(void)
{
    sigset_t now;
    CHECK(sigset(SIGSEGV, call_in_handler) == SIG_DFL);
    CHECK(sighold(SIGSEGV) == 0);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGSEGV) == 1);
    three_calls();
    CHECK(sigset(SIGSEGV, SIG_IGN) == SIG_HOLD);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGSEGV) == 0);
    CHECK(sigignore(SIGSEGV) == 0 && sigrelse(SIGSEGV) == 0);
    CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
    CHECK(sigblock(sigmask(SIGSEGV)) == 0);
    CHECK(siggetmask() == (int)sigmask(SIGSEGV));
    three_calls();
    CHECK(sigsetmask(0) == (int)sigmask(SIGSEGV));
    three_calls();
}

/* Dies of SIGSEGV: a bad pointer, as the kernel's own emulation has it. */
static void bad_pointer(void)
{
    three_calls();
    printf("dying\n");
    fflush(stdout);
    page_time((time_t *)8);
    CHECK(!"lived");
}

/* Dies of SIGSEGV at the faulting instruction. */
static void null_pointer(void)
{
    three_calls();
    printf("dying\n");
    fflush(stdout);
    *(volatile int *)0 = 0;
    CHECK(!"lived");
}

/* A blocked SIGSEGV that a fault raises kills though there is a handler. */
static void blocked_fault(void)
{
    sigset_t segv;
    CHECK(signal(SIGSEGV, call_in_handler) == SIG_DFL);
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    CHECK(sigprocmask(SIG_BLOCK, &segv, NULL) == 0);
    printf("dying\n");
    fflush(stdout);
    *(volatile int *)0 = 0;
    CHECK(!"lived");
}

/* What exec passes on: a blocked and an ignored SIGSEGV are so in the kernel. */
static void exec_state(void)
{
    sigset_t segv;
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    signal(SIGSEGV, SIG_IGN);
    sigprocmask(SIG_BLOCK, &segv, NULL);
    fflush(stdout);
    /* Not under evercall: its view is the kernel's. */
    char *off[] = {"EVERCALL=off", 0};
    execle("/bin/sed", "sed", "-n", "/^Sig[BI][lg][kn]/p", "/proc/self/status", (char *)0, off);
}

static const struct { const char *name; void (*run)(void); } modes[] = {
    {"plain", plain}, {"registers", registers}, {"in_handler", in_handler}, {"own_handler", own_handler},
    {"context", context}, {"flags", flags}, {"blocked", blocked}, {"pending", pending}, {"altstack", altstack},
    {"vfork", in_vfork}, {"jit", jit}, {"threads", threads}, {"waits", waits}, {"patched", patched}, {"svid", svid},
    {"bad_pointer", bad_pointer}, {"null_pointer", null_pointer}, {"blocked_fault", blocked_fault},
    {"exec_state", exec_state},
};

int main(int argc, char **argv)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name)) {
            mode = argv[1];
            modes[i].run();
            printf("%s right\n", mode);
            return 0;
        }
    fputs("usage: vsyscall MODE, one of:", stderr);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        fprintf(stderr, " %s", modes[i].name);
    fputs("\n", stderr);
    return 2;
}
