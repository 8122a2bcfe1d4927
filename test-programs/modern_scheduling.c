/* modern_scheduling DOOR: scheduling attributes, the processor, and seccomp through DOOR: syscall (libc's function) or
 * symbol (as libc, or a preload, exports it). A line a check: `CALL what: what came of it`. */
#define _GNU_SOURCE
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_getcpu = 309, NR_sched_setattr = 314, NR_sched_getattr = 315, NR_seccomp = 317 };

#define BAD ((void *)0x12345000)

static int by_symbol;

static long make(const char *name, long number, long a, long b, long c, long d)
{
    typedef int (*function)(long, long, long, long);
    errno = 1234;
    if (!by_symbol)
        return syscall(number, a, b, c, d);
    function symbol = (function)dlsym(RTLD_DEFAULT, name);
    if (!symbol) {
        /* glibc before 2.41. */
        return syscall(number, a, b, c, d);
    }
    return symbol(a, b, c, d);
}

#define SET(pid, attr, flags) make("sched_setattr", NR_sched_setattr, pid, (long)(attr), flags, 0)
#define GET(pid, attr, size, flags) make("sched_getattr", NR_sched_getattr, pid, (long)(attr), size, flags)

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t more[1012];
};

static const char *result(long value)
{
    static char text[64];
    if (value == -1)
        return strerrorname_np(errno) ? strerrorname_np(errno) : "no errno";
    snprintf(text, sizeof text, "%ld%s", value, errno == 1234 ? "" : " errno touched");
    return text;
}

/* What the kernel knows by its older calls, and what sched_getattr says: policy, flags, nice, priority. */
static void show(void)
{
    struct attributes now;
    struct sched_param parameters = {-1};
    int policy = sched_getscheduler(0);
    sched_getparam(0, &parameters);
    memset(&now, 0xa5, sizeof now);
    long got = GET(0, &now, 48, 0);
    printf(" [%x %d %d]", policy, parameters.sched_priority, getpriority(PRIO_PROCESS, 0));
    if (got == 0)
        printf(" [%u: %x %lx %d %u]", now.size, now.policy, now.flags, now.nice, now.priority);
    putchar('\n');
}

static void in_child(void (*work)(void), int user)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (user && setuid(user))
            _exit(1);
        work();
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (status)
        printf("the child ended with %d\n", status);
}

static const struct { const char *what; struct attributes attributes; } steps[] = {
    {"nice 5", {48, 0, 0, 5, 0}},
    {"nice 5 again", {48, 0, 0, 5, 0}},
    {"nice 3", {48, 0, 0, 3, 0}},
    {"nice 100", {48, 0, 0, 100, 0}},
    {"nice -100", {48, 0, 0, -100, 0}},
    {"batch", {48, 3, 0, 4, 0}},
    {"idle keeps its nice value", {48, 5, 0, 9, 0}},
    {"normal again", {48, 0, 0, 2, 0}},
    {"fifo", {48, 1, 0, 0, 10}},
    {"fifo, another priority", {48, 1, 0, 0, 20}},
    {"kept policy, another priority", {48, 0, 8, 0, 30}},
    {"kept policy, no priority", {48, 0, 8, 0, 0}},
    {"kept parameters, round robin", {48, 2, 0x10, 0, 77}},
    {"kept all", {48, 0, 0x18, 0, 0}},
    {"kept parameters, but normal", {48, 0, 0x10, 0, 0}},
    {"round robin with reset", {48, 2, 1, 0, 1}},
    {"kept policy keeps the reset", {48, 0, 8, 0, 2}},
    {"without reset", {48, 2, 0, 0, 2}},
    {"fifo without a priority", {48, 1, 0, 0, 0}},
    {"fifo with priority 99", {48, 1, 0, 0, 99}},
    {"fifo with priority 100", {48, 1, 0, 0, 100}},
    {"fifo with an enormous priority", {48, 1, 0, 0, 0xffffffff}},
    {"normal with a priority", {48, 0, 0, 0, 1}},
    {"normal, back", {48, 0, 0, 0, 0}},
    {"kept policy, nice 7", {48, 1, 8, 7, 0}},
    {"kept parameters, batch", {48, 3, 0x10, 1, 0}},
    {"with reset", {48, 0, 1, 1, 0}},
    {"flags of another policy", {48, 0, 6, 1, 0}},
    {"an unknown flag", {48, 0, 0x100, 1, 0}},
    {"an unknown flag in the upper half", {48, 0, 1ull << 40, 1, 0}},
    {"the kernel's own flag", {48, 0, 0x10000000, 1, 0}},
    {"utilization clamps in a short struct", {48, 0, 0x20, 1, 0}},
    {"an unknown policy", {48, 77, 0, 1, 0}},
    {"a missing policy", {48, 4, 0, 1, 0}},
    {"a negative policy", {48, 0x80000000, 0, 1, 0}},
    {"a policy with reset in it", {48, 0x40000000, 0, 1, 0}},
    {"a large policy", {48, 0x100, 0, 1, 0}},
    {"of no size", {0, 0, 0, 6, 0}},
    {"too short", {47, 0, 0, 6, 0}},
    {"of a larger size", {64, 0, 0, 8, 0}},
    {"of a page", {4096, 0, 0, 9, 0}},
    {"of more than a page", {4097, 0, 0, 9, 0}},
    {"with something unknown", {64, 0, 0, 9, 0, .more = {0, 0, 1}}},
    {"with something unknown at the end", {4096, 0, 0, 9, 0, .more[1010] = 1}},
};

static void steps_of_sched_setattr(void)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct attributes attributes = steps[i].attributes;
        printf("sched_setattr %s: %s", steps[i].what, result(SET(0, &attributes, 0)));
        printf(", size %s", attributes.size == steps[i].attributes.size ? "as before" : "set");
        show();
    }
}

static void unprivileged(void)
{
    const struct { const char *what; struct attributes attributes; } all[] = {
        {"nice 5", {48, 0, 0, 5, 0}},   {"nice 4", {48, 0, 0, 4, 0}},     {"batch, nice 6", {48, 3, 0, 6, 0}},
        {"batch, nice 5", {48, 3, 0, 5, 0}}, {"fifo", {48, 1, 0, 0, 1}},   {"with reset", {48, 0, 1, 6, 0}},
        {"without reset", {48, 0, 0, 6, 0}}, {"without reset, nice 7", {48, 0, 0, 7, 0}},
        {"without reset, nice 2", {48, 0, 0, 2, 0}},
        {"idle", {48, 5, 1, 0, 0}},     {"normal after idle", {48, 0, 1, 6, 0}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct attributes attributes = all[i].attributes;
        printf("sched_setattr unprivileged %s: %s", all[i].what, result(SET(0, &attributes, 0)));
        show();
    }
    struct attributes attributes = {48, 0, 0, 5, 0};
    printf("sched_setattr unprivileged of another user: %s\n", result(SET(1, &attributes, 0)));
}

static void bad_places(void)
{
    struct attributes attributes = {48, 0, 0, 0, 0};
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map + 4096, 4096);
    printf("sched_setattr NULL: %s\n", result(SET(0, NULL, 0)));
    printf("sched_setattr a bad struct: %s\n", result(SET(0, BAD, 0)));
    printf("sched_setattr with flags: %s\n", result(SET(0, &attributes, 1)));
    printf("sched_setattr a negative pid: %s\n", result(SET(-1, &attributes, 0)));
    printf("sched_setattr nobody: %s\n", result(SET(0x7ffffff0, &attributes, 0)));
    attributes.policy = 77;
    printf("sched_setattr nobody, an unknown policy: %s\n", result(SET(0x7ffffff0, &attributes, 0)));
    memcpy(map + 4096 - 47, &attributes, 47);
    printf("sched_setattr a struct beyond the edge: %s\n", result(SET(0, map + 4096 - 47, 0)));
    attributes.size = 4097;
    memcpy(map + 4096 - 8, &attributes, 8);
    printf("sched_setattr too large at the edge: %s\n", result(SET(0, map + 4096 - 8, 0)));
    mprotect(map, 4096, PROT_READ);
    printf("sched_setattr too large and not to be written: %s\n", result(SET(0, map + 4096 - 8, 0)));
    attributes = (struct attributes){48, 6, 0, 0, 0, 10000000, 20000000, 20000000};
    printf("sched_setattr deadline: %s\n", result(SET(0, &attributes, 0)));

    printf("sched_getattr NULL: %s\n", result(GET(0, NULL, 48, 0)));
    printf("sched_getattr a bad place: %s\n", result(GET(0, BAD, 48, 0)));
    printf("sched_getattr too short: %s\n", result(GET(0, &attributes, 47, 0)));
    printf("sched_getattr too long: %s\n", result(GET(0, &attributes, 4097, 0)));
    printf("sched_getattr with flags: %s\n", result(GET(0, &attributes, 48, 1)));
    printf("sched_getattr a negative pid: %s\n", result(GET(-1, &attributes, 48, 0)));
    printf("sched_getattr nobody: %s\n", result(GET(0x7ffffff0, &attributes, 48, 0)));
    printf("sched_getattr nobody at a bad place: %s\n", result(GET(0x7ffffff0, BAD, 48, 0)));
    memset(&attributes, 0xa5, sizeof attributes);
    long got = GET(0, &attributes, 4096, 0);
    int zero = 1;
    for (size_t i = 2; i < 1012; i++)
        zero &= attributes.more[i] == 0;
    printf("sched_getattr of a page: %s, the rest zero %d\n", result(got), zero);
    memset(&attributes, 0xa5, sizeof attributes);
    got = GET(getppid(), &attributes, 48, 0);
    printf("sched_getattr another process: %s, %u %u, nothing behind %d\n", result(got), attributes.size, attributes.policy, attributes.more[0] == 0xa5a5a5a5);
}

#define CPU(cpu, node) make("getcpu", NR_getcpu, (long)(cpu), (long)(node), 0, 0)

static void processors(void)
{
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    for (int number = 0; number < 4; number++) {
        unsigned cpu = 99, node = 99;
        CPU_ZERO(&one);
        CPU_SET(number, &one);
        if (sched_setaffinity(0, sizeof one, &one))
            continue;
        printf("getcpu on %d: %s", number, result(CPU(&cpu, &node)));
        printf(", %u %u\n", cpu, node);
    }
    unsigned cpu = 99;
    printf("getcpu nowhere: %s\n", result(CPU(NULL, NULL)));
    printf("getcpu a bad place: %s\n", result(CPU(BAD, NULL)));
    printf("getcpu a bad place for the node: %s", result(CPU(&cpu, BAD)));
    printf(", %d\n", cpu != 99);
    cpu = 99;
    printf("getcpu a bad place for the processor: %s", result(CPU(BAD, &cpu)));
    printf(", %d\n", cpu != 99);
}

#define SECCOMP(operation, flags, filter) make("seccomp", NR_seccomp, operation, flags, (long)(filter), 0)

/* Past the preload: in strict mode there is no other way out. */
static void leave(long status)
{
    __asm__ volatile("syscall" : : "a"(SYS_exit), "D"(status) : "rcx", "r11", "memory");
}

static void seccomp_modes(void)
{
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, instructions}, none = {0, instructions}, nowhere = {4, BAD};
    int status;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    printf("seccomp an unknown operation: %s\n", result(SECCOMP(99, 0, NULL)));
    printf("seccomp operation -1: %s\n", result(SECCOMP(-1, 0, NULL)));
    printf("seccomp strict with flags: %s\n", result(SECCOMP(0, 1, NULL)));
    printf("seccomp strict with an argument: %s\n", result(SECCOMP(0, 0, &program)));
    printf("seccomp an unknown flag: %s\n", result(SECCOMP(1, 1u << 31, &program)));
    printf("seccomp no filter: %s\n", result(SECCOMP(1, 0, NULL)));
    printf("seccomp a bad filter: %s\n", result(SECCOMP(1, 0, BAD)));
    printf("seccomp a filter of nothing: %s\n", result(SECCOMP(1, 0, &none)));
    printf("seccomp a filter nowhere: %s\n", result(SECCOMP(1, 0, &nowhere)));
    printf("seccomp whether an action is there: %s\n", result(SECCOMP(2, 0, &(unsigned){SECCOMP_RET_KILL_PROCESS})));
    printf("seccomp with all threads: %s\n", result(SECCOMP(1, 1, NULL)));
    fflush(stdout);
    for (int kill = 0; kill < 2; kill++) {
        pid_t child = fork();
        if (child == 0) {
            long got = SECCOMP(0, 0, NULL);
            if (kill)
                (void)syscall(SYS_getppid);
            leave(got == 0 && errno == 1234 ? 5 : 6);
        }
        waitpid(child, &status, 0);
        printf("seccomp strict%s: %x\n", kill ? ", then a call" : "", status);
    }
    printf("seccomp a filter: %s", result(SECCOMP(1, 0, &program)));
    long denied = (errno = 1234, syscall(SYS_getppid));
    printf(", getppid %ld %d\n", denied, errno);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 1;
    by_symbol = !strcmp(argv[1], "symbol");
    in_child(steps_of_sched_setattr, 0);
    in_child(unprivileged, 65534);
    in_child(bad_places, 0);
    if (!by_symbol) {
        in_child(processors, 0);
        in_child(seccomp_modes, 0);
    }
    return 0;
}
