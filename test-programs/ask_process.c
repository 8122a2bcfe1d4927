/* ask_process DOOR: makes the calls it reads, one a line, each in a child of its own, and prints a line for each. DOOR:
 * inline (the instruction, past every preload), syscall (libc's function), symbol (as libc, or a preload, exports it).
 *   clone3 SIZE READABLE FIELD*11 MORE          fields: a number, or id, pidfd, bad
 *   prlimit64 USER PID RESOURCE NEW SOFT HARD OLD   PID: a number, or self; NEW, OLD: null, good, bad, or edge
 *   sched_setattr USER (SIZE POLICY FLAGS NICE PRIORITY MORE)...
 *   sched_getattr PID SIZE PLACE FLAGS           PLACE: null, good, bad, or edge
 *   mlock2 OFFSET LENGTH FLAGS     pkey_mprotect OFFSET LENGTH PROTECTION
 *   clock_adjtime CLOCK PLACE      getcpu PLACE PLACE
 *   execveat FOLDER PATH FLAGS                  by the names in `folders` and `paths` */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD 0x12345000

static const char *door;
static char *words[64];
static int count, next_word;

static long make(const char *name, long number, long a, long b, long c, long d, long e)
{
    typedef int (*function)(long, long, long, long, long);
    function symbol = NULL;
    long result;
    errno = 1234;
    if (!strcmp(door, "inline")) {
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
        if (result < 0 && result >= -4095) {
            errno = (int)-result;
            return -1;
        }
        return result;
    }
    if (!strcmp(door, "symbol"))
        symbol = (function)dlsym(RTLD_DEFAULT, name);
    return symbol ? symbol(a, b, c, d, e) : syscall(number, a, b, c, d, e);
}

/* Straight to the descriptor: limits may forbid everything else. */
static void say(const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    (void)!write(1, text, length);
}

static void say_result(long result) { say("%ld %d", result, errno); }

static const char *word(void) { return next_word < count ? words[next_word++] : "0"; }
static long number(void) { const char *text = word(); return *text == '-' ? strtol(text, NULL, 0) : (long)strtoul(text, NULL, 0); }

static char *at_edge(size_t length)
{
    size_t room = (length + 4095) / 4096 * 4096;
    char *map = mmap(NULL, room + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map + room, 4096);
    return map + room - length;
}

/* A place for some bytes, by its name: edge has one byte too few. */
static void *place(size_t length)
{
    const char *name = word();
    if (!strcmp(name, "null")) return NULL;
    if (!strcmp(name, "bad")) return (void *)BAD;
    if (!strcmp(name, "edge")) return at_edge(length - 1);
    return at_edge(length);
}

static void clone_child(void)
{
    static int id, pidfd;
    uint64_t fields[12];
    size_t size = number(), readable = number();
    for (int i = 0; i < 11; i++) {
        const char *text = word();
        fields[i] = !strcmp(text, "id") ? (uint64_t)&id : !strcmp(text, "pidfd") ? (uint64_t)&pidfd
                  : !strcmp(text, "bad") ? BAD : strtoull(text, NULL, 0);
    }
    fields[11] = number();
    char *given = at_edge(readable);
    memcpy(given, fields, readable < sizeof fields ? readable : sizeof fields);
    for (int signal_number = 1; signal_number < 65; signal_number++)
        if (signal_number != SIGCHLD)
            signal(signal_number, SIG_IGN);
    pidfd = -1;
    long child = make("clone3", 435, (long)given, size, 0, 0, 0);
    if (child == 0)
        _exit(id == (int)syscall(SYS_gettid) ? 3 : 4);
    if (child < 0) {
        say_result(child);
        return;
    }
    int status = -1, signalled = errno, known = id == (int)child;
    pid_t got = waitpid((pid_t)child, &status, __WALL);
    say("child, errno %d, waited %d, status %x, id %d, pidfd %d", signalled, got == child, status, known, fcntl(pidfd, F_GETFD));
}

static void become(void)
{
    long user = number();
    if (user && setuid(user))
        say("cannot become %ld", user);
}

static void limits(void)
{
    become();
    const char *text = word();
    long pid = !strcmp(text, "self") ? getpid() : strtol(text, NULL, 0), resource = number();
    uint64_t *new = place(16), pair[2] = {number(), number()}, now[2], *old;
    if (new && (long)new != BAD)
        memcpy(new, pair, strcmp(words[4], "edge") ? 16 : 15);
    old = place(16);
    say_result(make("prlimit64", 302, pid, resource, (long)new, (long)old, 0));
    if (old && (long)old != BAD && strcmp(words[7], "edge"))
        say(" old %lx %lx", old[0], old[1]);
    for (long each = 0; each < RLIM_NLIMITS; each++)
        if (!syscall(SYS_getrlimit, each, now))
            say(" %lx:%lx", now[0], now[1]);
}

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t times[3];
    uint32_t more[1012];
};

static void set_attributes(void)
{
    become();
    while (next_word < count) {
        struct attributes attributes;
        struct sched_param parameters = {-1};
        memset(&attributes, 0, sizeof attributes);
        attributes.size = number(), attributes.policy = number(), attributes.flags = number();
        attributes.nice = number(), attributes.priority = number(), attributes.more[2] = number();
        uint32_t size = attributes.size;
        say_result(make("sched_setattr", 314, 0, (long)&attributes, 0, 0, 0));
        sched_getparam(0, &parameters);
        say(" size %d now %x %d %d; ", size != attributes.size, sched_getscheduler(0), parameters.sched_priority, getpriority(PRIO_PROCESS, 0));
    }
}

static void get_attributes(void)
{
    long pid = number(), size = number();
    struct attributes *to = place(size > 0 && size < 5000 ? size : 48), first;
    long result = make("sched_getattr", 315, pid, (long)to, size, number(), 0);
    say_result(result);
    if (result == 0) {
        memcpy(&first, to, 48);
        say(" %u %u %lx %d %u", first.size > 48 ? 48 : first.size, first.policy, first.flags, first.nice, first.priority);
    }
}

static void memory(int lock)
{
    char *map = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), line[256];
    munmap(map + 12288, 4096);
    long offset = number(), length = number(), third = number();
    say_result(lock ? make("mlock2", 325, (long)map + offset, length, third, 0, 0)
                    : make("pkey_mprotect", 329, (long)map + offset, length, third, -1, 0));
    FILE *status = fopen("/proc/self/status", "r");
    while (lock && status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmLck:", 6))
            say(" %ld", atol(line + 6));
    for (int page = 0; page < 3 && !lock; page++)
        say(" %ld", syscall(SYS_getrlimit, 0, map + 4096 * page));
}

static char folder[] = "/tmp/ask_process.XXXXXX";
static const struct { const char *name, *path; int flags; } folders[] = {
    {"here", ".", O_RDONLY}, {"here-closing", ".", O_RDONLY | O_CLOEXEC}, {"bin", "/bin", O_PATH | O_CLOEXEC},
    {"echo", "/bin/echo", O_RDONLY | O_CLOEXEC}, {"echo-path", "/bin/echo", O_PATH}, {"script", "a-script", O_RDONLY},
    {"script-closing", "a-script", O_RDONLY | O_CLOEXEC}, {"plain", "plain", O_RDONLY}, {"link", "a-link", O_PATH | O_NOFOLLOW},
    {"null", "/dev/null", O_RDONLY},
};

static void execute(void)
{
    const char *name = word(), *path = word();
    char *const arguments[] = {"echo", "one", NULL}, *const environment[] = {NULL};
    int from = !strcmp(name, "cwd") ? AT_FDCWD : !strcmp(name, "closed") ? 999 : -1;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (!strcmp(name, folders[i].name))
            from = open(folders[i].path, folders[i].flags);
    path = !strcmp(path, "empty") ? "" : !strcmp(path, "null") ? NULL : !strcmp(path, "bad") ? (char *)BAD : path;
    dup2(1, 2);
    say_result(make("execveat", 322, from, (long)path, (long)arguments, (long)environment, number()));
}

static void answer(void)
{
    const char *name = word();
    if (!strcmp(name, "clone3")) clone_child();
    else if (!strcmp(name, "prlimit64")) limits();
    else if (!strcmp(name, "sched_setattr")) set_attributes();
    else if (!strcmp(name, "sched_getattr")) get_attributes();
    else if (!strcmp(name, "mlock2")) memory(1);
    else if (!strcmp(name, "pkey_mprotect")) memory(0);
    else if (!strcmp(name, "execveat")) execute();
    else if (!strcmp(name, "clock_adjtime")) {
        long clock = number();
        say_result(make(name, 305, clock, (long)place(sizeof(struct timex)), 0, 0, 0));
    } else if (!strcmp(name, "getcpu")) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(1, &one);
        (void)!sched_setaffinity(0, sizeof one, &one);
        unsigned *cpu = place(4), *node = place(4);
        /* The symbol of that name is the vDSO's. */
        say_result(make("no such symbol", 309, (long)cpu, (long)node, 0, 0, 0));
        if (cpu && (long)cpu != BAD && strcmp(words[1], "edge"))
            say(" %u", *cpu);
    }
}

int main(int argc, char **argv)
{
    static char line[1 << 16];
    if (argc != 2 || !mkdtemp(folder) || chdir(folder))
        return 1;
    door = argv[1];
    int script = open("a-script", O_WRONLY | O_CREAT, 0755), plain = open("plain", O_WRONLY | O_CREAT, 0644);
    (void)!write(script, "#!/bin/sh\necho script $1\n", 25);
    close(script);
    close(plain);
    (void)!symlink("/bin/echo", "a-link");
    (void)!symlink("/no/such", "dangling");
    while (fgets(line, sizeof line, stdin)) {
        char *save;
        count = next_word = 0;
        for (char *part = strtok_r(line, " \n", &save); part && count < 64; part = strtok_r(NULL, " \n", &save))
            words[count++] = part;
        int ends[2], status;
        char text[2048];
        size_t length = 0;
        if (pipe(ends))
            return 1;
        pid_t child = fork();
        if (child == 0) {
            dup2(ends[1], 1);
            close(ends[0]);
            close(ends[1]);
            answer();
            _exit(0);
        }
        close(ends[1]);
        for (ssize_t n; length < sizeof text - 1 && (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
            length += n;
        text[length] = 0;
        close(ends[0]);
        waitpid(child, &status, 0);
        for (char *byte = text; *byte; byte++)
            if (*byte == '\n')
                *byte = ' ';
        printf("%s | %x\n", text, status);
        fflush(stdout);
    }
    unlink("a-script"), unlink("plain"), unlink("a-link"), unlink("dangling");
    return chdir("/") || rmdir(folder);
}
