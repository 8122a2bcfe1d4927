/* modern_process DOOR: calls of processes, limits, memory and clocks that an older host lacks, through DOOR: syscall
 * (libc's function) or symbol (as libc, or a preload, exports it). A line a check: `CALL what: what came of it`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_getrlimit = 97, NR_io_setup = 206, NR_io_destroy = 207, NR_io_submit = 209, NR_adjtimex = 159, NR_prlimit64 = 302,
       NR_clock_adjtime = 305, NR_execveat = 322, NR_mlock2 = 325, NR_pkey_mprotect = 329,
       NR_io_pgetevents = 333, NR_clone3 = 435 };

#define BAD ((void *)0x12345000)
#define KERNEL ((void *)0xffff888000001000)

static int by_symbol;

/* The call through the door; ENOSYS where nobody exports the symbol. */
static long make(const char *name, long number, long a, long b, long c, long d, long e, long f)
{
    typedef int (*function)(long, long, long, long, long, long);
    errno = 1234;
    if (!by_symbol)
        return syscall(number, a, b, c, d, e, f);
    function symbol = (function)dlsym(RTLD_DEFAULT, name);
    if (!symbol) {
        errno = ENOSYS;
        return -1;
    }
    return symbol(a, b, c, d, e, f);
}

#define MAKE_(name, number, a, b, c, d, e, f, ...) \
    make(name, number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define MAKE(...) MAKE_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* A result, or the name of the errno; a success must not have touched errno. */
static const char *result(long value)
{
    static char text[64];
    if (value == -1)
        return strerrorname_np(errno) ? strerrorname_np(errno) : "no errno";
    snprintf(text, sizeof text, "%ld%s", value, errno == 1234 ? "" : " errno touched");
    return text;
}

/* A page with nothing mapped behind it: its last bytes. */
static char *at_edge(size_t length)
{
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map + 4096, 4096);
    return map + 4096 - length;
}

/* ---- clone3 ---- */

struct arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
    uint64_t more[504];
};

static int shared = 1;

/* Makes a child that ends with 7, or 8 where it does not find its own id at `id`. */
static void clone_child(const char *what, struct arguments *arguments, size_t size, int *id)
{
    long child = MAKE("clone3", NR_clone3, arguments, size);
    if (child == 0) {
        shared = 2;
        _exit(id && *id != (int)syscall(186) ? 8 : 7);
    }
    printf("clone3 %s: ", what);
    if (child < 0) {
        printf("%s\n", result(child));
        return;
    }
    int status = -1, untouched = errno == 1234;
    pid_t ended = waitpid((pid_t)child, &status, __WALL);
    printf("%s, ended with %d, %s, errno %s\n", ended == child ? "a child" : "no child", WEXITSTATUS(status),
           shared == 1 ? "own memory" : "shared memory", untouched ? "untouched" : "touched");
    shared = 1;
}

static void on_signal(int number) { (void)number; }

static void clones(void)
{
    const struct { const char *what; struct arguments arguments; size_t size; } all[] = {
        {"like fork", {.exit_signal = SIGCHLD}, 88},
        {"without an exit signal", {.flags = 0}, 88},
        {"of the first size", {.exit_signal = SIGCHLD}, 64},
        {"of the second size", {.exit_signal = SIGCHLD}, 80},
        {"of an odd size", {.exit_signal = SIGCHLD}, 70},
        {"of a later size", {.exit_signal = SIGCHLD}, 96},
        {"of a page", {.exit_signal = SIGCHLD}, 4096},
        {"of more than a page", {.exit_signal = SIGCHLD}, 4097},
        {"too short", {.exit_signal = SIGCHLD}, 63},
        {"of no size", {.exit_signal = SIGCHLD}, 0},
        {"with something unknown", {.exit_signal = SIGCHLD, .more = {1}}, 96},
        {"with something unknown at the end", {.exit_signal = SIGCHLD, .more[500] = 1}, 4096},
        {"with something unknown behind its size", {.exit_signal = SIGCHLD, .more = {1}}, 88},
        {"with signal 64", {.exit_signal = 64}, 88},
        {"with signal 65", {.exit_signal = 65}, 88},
        {"with a signal in the upper half", {.exit_signal = 1ull << 32 | SIGCHLD}, 88},
        {"detached", {.flags = 0x00400000, .exit_signal = SIGCHLD}, 88},
        {"with a signal among the flags", {.flags = SIGCHLD}, 88},
        {"with an unknown flag", {.flags = 1ull << 40, .exit_signal = SIGCHLD}, 88},
        {"with handlers shared and cleared", {.flags = 1ull << 32 | 0x800, .exit_signal = SIGCHLD}, 88},
        {"with handlers shared, memory not", {.flags = 0x800, .exit_signal = SIGCHLD}, 88},
        {"a thread of its own memory", {.flags = 0x10000}, 88},
        {"a thread with a signal", {.flags = 0x10000, .exit_signal = SIGCHLD}, 88},
        {"a sibling with a signal", {.flags = 0x8000, .exit_signal = SIGCHLD}, 88},
        {"with its own mounts and shared folders", {.flags = 0x20200, .exit_signal = SIGCHLD}, 88},
        {"like vfork, with its own memory", {.flags = 0x4000, .exit_signal = SIGCHLD}, 88},
        {"with shared files and folders", {.flags = 0x600, .exit_signal = SIGCHLD}, 88},
        {"a stack without a size", {.exit_signal = SIGCHLD, .stack = 0x10000}, 88},
        {"a size without a stack", {.exit_signal = SIGCHLD, .stack_size = 4096}, 88},
        {"a stack of the kernel", {.exit_signal = SIGCHLD, .stack = 0xffff888000001000, .stack_size = 4096}, 88},
        {"thread ids without a count", {.exit_signal = SIGCHLD, .set_tid = 0x12345000}, 88},
        {"a count without thread ids", {.exit_signal = SIGCHLD, .set_tid_size = 1}, 88},
        {"too many thread ids", {.exit_signal = SIGCHLD, .set_tid = 0x12345000, .set_tid_size = 33}, 88},
        {"thread ids at a bad place", {.exit_signal = SIGCHLD, .set_tid = 0x12345000, .set_tid_size = 1}, 88},
        {"into a cgroup, too short", {.flags = 1ull << 33, .exit_signal = SIGCHLD}, 80},
        {"into a cgroup, no descriptor", {.flags = 1ull << 33, .exit_signal = SIGCHLD, .cgroup = 1ull << 31}, 88},
        {"a pidfd to a bad place", {.flags = 0x1000, .exit_signal = SIGCHLD, .pidfd = 0x12345000}, 88},
        {"the parent's id to a bad place", {.flags = 0x100000, .exit_signal = SIGCHLD, .parent_tid = 0x12345000}, 88},
        {"with handlers cleared", {.flags = 1ull << 32, .exit_signal = SIGCHLD}, 88},
    };
    signal(64, SIG_IGN);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct arguments arguments = all[i].arguments;
        clone_child(all[i].what, &arguments, all[i].size, NULL);
    }
    printf("clone3 NULL: %s\n", result(MAKE("clone3", NR_clone3, NULL, 88)));
    printf("clone3 a bad struct: %s\n", result(MAKE("clone3", NR_clone3, BAD, 88)));
    printf("clone3 a struct of the kernel: %s\n", result(MAKE("clone3", NR_clone3, KERNEL, 88)));
    struct arguments *edge = (void *)at_edge(88);
    edge->exit_signal = SIGCHLD;
    clone_child("a struct at the edge", edge, 88, NULL);
    clone_child("a struct beyond the edge", edge, 96, NULL);

    int id = 0, pidfd = -1;
    struct arguments arguments = {.flags = 0x01000000, .exit_signal = SIGCHLD, .child_tid = (uint64_t)&id};
    clone_child("the child's id to the child", &arguments, 88, &id);
    printf("clone3 the child's id in the parent: %d\n", id);

    arguments = (struct arguments){.flags = 0x100000 | 0x1000, .exit_signal = SIGCHLD, .parent_tid = (uint64_t)&id, .pidfd = (uint64_t)&id};
    clone_child("a pidfd where the id goes", &arguments, 88, NULL);

    signal(SIGUSR1, on_signal);
    for (int both = 0; both < 2; both++) {
        id = 0;
        arguments = (struct arguments){.flags = 0x1000 | (both ? 0x100000 : 0), .exit_signal = SIGUSR1,
                                       .parent_tid = (uint64_t)&id, .pidfd = (uint64_t)&pidfd};
        long child = MAKE("clone3", NR_clone3, &arguments, 88);
        if (child == 0)
            _exit(9);
        char path[64], line[64] = "";
        int known = 0, status = 0;
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
        FILE *info = child > 0 ? fopen(path, "r") : NULL;
        while (info && fgets(line, sizeof line, info))
            known |= !strncmp(line, "Pid:", 4) && atol(line + 4) == child;
        if (info)
            fclose(info);
        struct pollfd ended = {pidfd, POLLIN, 0};
        printf("clone3 a pidfd%s: %s, names the child %d, cloexec %d, id stored %d, readable %d",
               both ? " and the id" : "", child > 0 ? "a child" : result(child), known, fcntl(pidfd, F_GETFD), id == child,
               child > 0 && poll(&ended, 1, 10000) == 1);
        waitpid((pid_t)child, &status, __WALL);
        printf(", ended with %d\n", WEXITSTATUS(status));
        close(pidfd);
    }
}

/* ---- execveat ---- */

static char *const arguments_of_exec[] = {"echo", "one", "two", NULL};
static char *const environment[] = {"A=1", NULL};

static void show_exec(const char *what, int folder, const char *path, int flags, int by_fexecve)
{
    int ends[2], status;
    if (pipe(ends))
        return;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        long failed = by_fexecve ? (errno = 1234, fexecve(folder, arguments_of_exec, environment))
                                 : MAKE("execveat", NR_execveat, folder, path, arguments_of_exec, environment, flags);
        const char *text = result(failed);
        _exit(write(1, text, strlen(text)) < 0);
    }
    close(ends[1]);
    char text[512];
    size_t length = 0;
    for (ssize_t n; length < sizeof text - 1 && (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += n;
    text[length] = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    text[strcspn(text, "\n")] = 0;
    printf("execveat %s: %s, %d\n", what, text, status);
}

static void execs(void)
{
    char folder[] = "/tmp/modern_process.XXXXXX", deep[3500], longest[8192];
    if (!mkdtemp(folder) || chdir(folder))
        return;
    int script = open("script", O_WRONLY | O_CREAT, 0755), plain = open("plain", O_WRONLY | O_CREAT, 0644);
    (void)!write(script, "#!/bin/sh\necho script $1 $A\n", 28);
    (void)!write(plain, "text", 4);
    close(script);
    close(plain);
    (void)!symlink("/bin/echo", "link");
    (void)!symlink("/no/such", "dangling");
    int here = open(".", O_RDONLY | O_DIRECTORY), closing = open(".", O_RDONLY | O_CLOEXEC), bin = open("/bin", O_PATH | O_CLOEXEC);
    int file = open("/bin/echo", O_RDONLY | O_CLOEXEC), path = open("/bin/echo", O_PATH), open_script = open("script", O_RDONLY);
    int closing_script = open("script", O_RDONLY | O_CLOEXEC), link = open("link", O_PATH | O_NOFOLLOW), unexecutable = open("plain", O_RDONLY);
    memset(deep, '/', sizeof deep);
    for (size_t i = 0; i + 10 < sizeof deep; i += 2)
        deep[i] = '.';
    strcpy(deep + sizeof deep - 10, "/link");
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;

    show_exec("a file by its descriptor", file, "", AT_EMPTY_PATH, 0);
    show_exec("a file by a descriptor of its path", path, "", AT_EMPTY_PATH, 0);
    show_exec("a file in a folder", bin, "echo", 0, 0);
    show_exec("a file in a folder, empty path allowed", bin, "echo", AT_EMPTY_PATH, 0);
    show_exec("a file in the working folder", AT_FDCWD, "link", 0, 0);
    show_exec("an absolute path with no folder", -1, "/bin/echo", 0, 0);
    show_exec("a script in a folder", here, "script", 0, 0);
    show_exec("a script in a folder that is closed", closing, "script", 0, 0);
    show_exec("a script by its descriptor", open_script, "", AT_EMPTY_PATH, 0);
    show_exec("a script by a descriptor that is closed", closing_script, "", AT_EMPTY_PATH, 0);
    show_exec("a link", here, "link", 0, 0);
    show_exec("a link not to be followed", here, "link", AT_SYMLINK_NOFOLLOW, 0);
    show_exec("a link not to be followed in the working folder", AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, 0);
    show_exec("a dangling link not to be followed", here, "dangling", AT_SYMLINK_NOFOLLOW, 0);
    show_exec("a file, links not followed", here, "script", AT_SYMLINK_NOFOLLOW, 0);
    show_exec("a link by its descriptor", link, "", AT_EMPTY_PATH, 0);
    show_exec("a descriptor, links not followed", file, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, 0);
    show_exec("a long path", here, deep, 0, 0);
    show_exec("a path too long", here, longest, 0, 0);
    show_exec("an unknown flag", here, "link", 0x400000, 0);
    show_exec("an unknown flag without a path", here, "", 0x400000, 0);
    show_exec("an empty path", here, "", 0, 0);
    show_exec("NULL", here, NULL, 0, 0);
    show_exec("a bad path", here, BAD, AT_EMPTY_PATH, 0);
    show_exec("a file that is not there", here, "no-such-file", 0, 0);
    show_exec("a file that is not executable", here, "plain", 0, 0);
    show_exec("a descriptor that is not executable", unexecutable, "", AT_EMPTY_PATH, 0);
    show_exec("a folder", here, "", AT_EMPTY_PATH, 0);
    show_exec("the working folder", AT_FDCWD, "", AT_EMPTY_PATH, 0);
    show_exec("in what is no folder", file, "echo", 0, 0);
    show_exec("a closed descriptor", 999, "", AT_EMPTY_PATH, 0);
    show_exec("in a closed descriptor", 999, "echo", 0, 0);
    if (by_symbol) {
        show_exec("fexecve of a file", file, NULL, 0, 1);
        show_exec("fexecve of a script", open_script, NULL, 0, 1);
        show_exec("fexecve of a script that is closed", closing_script, NULL, 0, 1);
        show_exec("fexecve of a folder", here, NULL, 0, 1);
        show_exec("fexecve of a closed descriptor", 999, NULL, 0, 1);
    }
    unlink("script"), unlink("plain"), unlink("link"), unlink("dangling");
    (void)!chdir("/"), rmdir(folder);
}

/* ---- prlimit64 ---- */

#define LIMIT(pid, resource, new, old) MAKE("prlimit64", NR_prlimit64, pid, resource, new, old)

static int waits(void *id)
{
    *(volatile int *)id = (int)syscall(186);
    for (;;)
        pause();
    return 0;
}

static void limits(void)
{
    uint64_t old[2], same[2], new[2];
    int agree = 0, id = 0;
    static char stack[32768] __attribute__((aligned(16)));
    for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
        memset(old, 0xa5, sizeof old);
        long got = LIMIT(0, resource, NULL, old);
        agree += got == 0 && !syscall(NR_getrlimit, resource, same) && !memcmp(old, same, sizeof old);
    }
    printf("prlimit64 reads: %d\n", agree);
    printf("prlimit64 without both: %s\n", result(LIMIT(0, RLIMIT_CORE, NULL, NULL)));
    printf("prlimit64 without both, unknown: %s\n", result(LIMIT(0, 16, NULL, NULL)));
    printf("prlimit64 unknown: %s\n", result(LIMIT(0, 16, NULL, old)));
    printf("prlimit64 negative: %s\n", result(LIMIT(0, -1, NULL, old)));
    printf("prlimit64 rubbish in the upper half: %s\n", by_symbol ? "0" : result(LIMIT(0xaa00000000, 0xaa00000000 | RLIMIT_CORE, NULL, old)));
    new[0] = 100, new[1] = 200;
    printf("prlimit64 sets: %s\n", result(LIMIT(0, RLIMIT_NOFILE, new, NULL)));
    new[0] = 50, new[1] = 150;
    printf("prlimit64 sets and reads: %s", result(LIMIT(getpid(), RLIMIT_NOFILE, new, old)));
    printf(", before %lu %lu", old[0], old[1]);
    LIMIT(0, RLIMIT_NOFILE, NULL, old);
    printf(", after %lu %lu\n", old[0], old[1]);
    new[0] = 151;
    printf("prlimit64 soft above hard: %s\n", result(LIMIT(0, RLIMIT_NOFILE, new, NULL)));
    new[1] = 1ull << 40;
    printf("prlimit64 more descriptors than can be: %s\n", result(LIMIT(0, RLIMIT_NOFILE, new, NULL)));
    printf("prlimit64 a bad new limit: %s\n", result(LIMIT(0, RLIMIT_NOFILE, BAD, NULL)));
    printf("prlimit64 a bad new limit of nobody: %s\n", result(LIMIT(0x7ffffff0, RLIMIT_NOFILE, BAD, NULL)));
    printf("prlimit64 a bad new limit, unknown: %s\n", result(LIMIT(0, 16, KERNEL, NULL)));
    new[0] = 60, new[1] = 140;
    printf("prlimit64 a bad old limit: %s", result(LIMIT(0, RLIMIT_NOFILE, new, BAD)));
    LIMIT(0, RLIMIT_NOFILE, NULL, old);
    printf(", after %lu %lu\n", old[0], old[1]);
    printf("prlimit64 a bad old limit alone: %s\n", result(LIMIT(0, RLIMIT_NOFILE, NULL, at_edge(15))));
    printf("prlimit64 a bad old limit, unknown: %s\n", result(LIMIT(0, 16, NULL, BAD)));
    new[0] = new[1] = ~0ull;
    printf("prlimit64 sets no limit: %s", result(LIMIT(0, RLIMIT_CPU, new, old)));
    LIMIT(0, RLIMIT_CPU, NULL, old);
    printf(", after %lx %lx\n", old[0], old[1]);
    new[0] = 1ull << 33, new[1] = ~0ull - 1;
    printf("prlimit64 sets large limits: %s", result(LIMIT(0, RLIMIT_AS, new, old)));
    LIMIT(0, RLIMIT_AS, NULL, old);
    printf(", after %lx %lx\n", old[0], old[1]);
    printf("prlimit64 nobody: %s\n", result(LIMIT(0x7ffffff0, RLIMIT_NOFILE, NULL, old)));
    printf("prlimit64 a negative pid: %s\n", result(LIMIT(-getpid(), RLIMIT_NOFILE, NULL, old)));
    printf("prlimit64 pid -1: %s\n", result(LIMIT(-1, RLIMIT_NOFILE, NULL, old)));
    /* Not by pthread_create, which needs clone3 where a filter says EPERM. */
    clone(waits, stack + sizeof stack, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, &id);
    while (!*(volatile int *)&id)
        usleep(1000);
    new[0] = 70, new[1] = 130;
    printf("prlimit64 by a thread's id: %s", result(LIMIT(id, RLIMIT_NOFILE, new, old)));
    LIMIT(0, RLIMIT_NOFILE, NULL, old);
    printf(", after %lu %lu\n", old[0], old[1]);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (setuid(65534))
            _exit(1);
        new[0] = 70, new[1] = 131;
        printf("prlimit64 raises unprivileged: %s\n", result(LIMIT(0, RLIMIT_NOFILE, new, old)));
        new[1] = 120;
        printf("prlimit64 lowers unprivileged: %s\n", result(LIMIT(0, RLIMIT_NOFILE, new, old)));
        printf("prlimit64 unprivileged, old limits: %lu %lu\n", old[0], old[1]);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    printf("prlimit64 another process: %s\n", result(LIMIT(getppid(), RLIMIT_NOFILE, NULL, old)));
}

/* ---- memory ---- */

#define PROTECT(address, length, protection, key) \
    MAKE("pkey_mprotect", NR_pkey_mprotect, address, length, protection, key)

static long locked(void)
{
    char line[256];
    long size = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmLck:", 6))
            size = atol(line + 6);
    if (status)
        fclose(status);
    return size;
}

static void memory(void)
{
    char *map = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map + 12288, 4096);
    long before = locked();
    printf("mlock2 locks: %s", result(MAKE("mlock2", NR_mlock2, map + 100, 4096, 0)));
    printf(", %ld KiB\n", locked() - before);
    munlock(map, 8192);
    printf("mlock2 an unknown flag: %s\n", result(MAKE("mlock2", NR_mlock2, map, 4096, 2)));
    printf("mlock2 all flags: %s\n", result(MAKE("mlock2", NR_mlock2, map, 4096, -1)));
    printf("mlock2 nothing: %s\n", result(MAKE("mlock2", NR_mlock2, map, 0, 0)));
    printf("mlock2 beyond the mapping: %s\n", result(MAKE("mlock2", NR_mlock2, map, 16384, 0)));
    printf("mlock2 around the end: %s\n", result(MAKE("mlock2", NR_mlock2, map, -4096, 0)));
    printf("mlock2 a bad address: %s\n", result(MAKE("mlock2", NR_mlock2, BAD, 4096, 0)));
    printf("mlock2 on the first use: %s\n", result(MAKE("mlock2", NR_mlock2, map, 4096, 1)));
    printf("pkey_mprotect forbids: %s", result(PROTECT(map, 4096, PROT_NONE, -1)));
    printf(", then %s\n", result((errno = 1234, syscall(NR_getrlimit, RLIMIT_CORE, map))));
    printf("pkey_mprotect allows: %s", result(PROTECT(map, 4096, PROT_READ | PROT_WRITE, -1)));
    printf(", then %s\n", result((errno = 1234, syscall(NR_getrlimit, RLIMIT_CORE, map))));
    printf("pkey_mprotect nothing: %s\n", result(PROTECT(map, 0, PROT_READ, -1)));
    printf("pkey_mprotect an odd address: %s\n", result(PROTECT(map + 1, 4096, PROT_READ, -1)));
    printf("pkey_mprotect beyond the mapping: %s\n", result(PROTECT(map, 16384, PROT_READ, -1)));
    printf("pkey_mprotect an unknown protection: %s\n", result(PROTECT(map, 4096, 0x100, -1)));
    printf("pkey_mprotect around the end: %s\n", result(PROTECT(map, -4096, PROT_READ, -1)));
    printf("pkey_mprotect with a key that nobody has: %s\n", result(PROTECT(map, 4096, PROT_READ, 99)));
}

/* ---- Linux AIO and clocks ---- */

#define EVENTS(context, least, most, events, timeout, mask) \
    MAKE("io_pgetevents", NR_io_pgetevents, context, least, most, events, timeout, mask)

static void async_io(void)
{
    struct { uint64_t data, obj; int64_t res, res2; } events[2];
    struct { uint64_t data; uint32_t key, flags; uint16_t opcode; int16_t priority; uint32_t fd; uint64_t buffer, bytes; int64_t offset; uint64_t more[2]; }
        request = {.data = 77, .opcode = 0, .bytes = 4}, *list = &request;
    struct { const void *mask; size_t size; } no_mask = {NULL, 8}, odd_mask = {NULL, 3}, mask;
    struct timespec none = {0, 0}, bad_time = {0, -1};
    uint64_t context = 0, set = 0;
    char text[8] = "";
    int file = open("/proc/self/exe", O_RDONLY);
    request.fd = file, request.buffer = (uint64_t)text;
    if (syscall(NR_io_setup, 4, &context))
        return;
    mask.mask = &set, mask.size = 8;
    printf("io_pgetevents nothing yet: %s\n", result(EVENTS(context, 0, 2, events, &none, NULL)));
    syscall(NR_io_submit, context, 1, &list);
    memset(events, 0, sizeof events);
    printf("io_pgetevents one: %s", result(EVENTS(context, 1, 2, events, NULL, NULL)));
    printf(", %lu %ld %.3s\n", events[0].data, events[0].res, text + 1);
    syscall(NR_io_submit, context, 1, &list);
    printf("io_pgetevents one, a mask that is none: %s\n", result(EVENTS(context, 1, 1, events, NULL, &no_mask)));
    printf("io_pgetevents a mask that is none of an odd size: %s\n", result(EVENTS(context, 0, 1, events, &none, &odd_mask)));
    printf("io_pgetevents a context that is none: %s\n", result(EVENTS(0x12345000, 0, 1, events, &none, NULL)));
    printf("io_pgetevents less than none: %s\n", result(EVENTS(context, -1, 1, events, &none, NULL)));
    printf("io_pgetevents at least more than at most: %s\n", result(EVENTS(context, 2, 1, events, &none, NULL)));
    printf("io_pgetevents a bad timeout: %s\n", result(EVENTS(context, 0, 1, events, BAD, NULL)));
    printf("io_pgetevents no time: %s\n", result(EVENTS(context, 0, 1, events, &bad_time, NULL)));
    printf("io_pgetevents a bad mask: %s\n", result(EVENTS(context, 0, 1, events, &none, BAD)));
    syscall(NR_io_submit, context, 1, &list);
    printf("io_pgetevents bad events: %s\n", result(EVENTS(context, 1, 1, BAD, NULL, NULL)));
    printf("io_pgetevents with a mask: %s\n", result(EVENTS(context, 0, 1, events, &none, &mask)));
    syscall(NR_io_destroy, context);
}

#define ADJUST(clock, time) MAKE("clock_adjtime", NR_clock_adjtime, clock, time)

static void clocks(void)
{
    struct timex time, same;
    memset(&time, 0, sizeof time);
    memset(&same, 0, sizeof same);
    long state = ADJUST(0, &time);
    int untouched = errno == 1234, expected = (int)syscall(NR_adjtimex, &same);
    printf("clock_adjtime reads: %d %d %d %d\n", state == expected, untouched, time.status == same.status, time.tick == same.tick);
    for (int clock = 1; clock < 13; clock++) {
        memset(&time, 0, sizeof time);
        printf("clock_adjtime clock %d: %s\n", clock, result(ADJUST(clock, &time)));
    }
    const int odd[] = {99, 1 << 20, -1, -2, -6, -8, (int)(~999u << 3 | 3)};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        printf("clock_adjtime clock %d: %s\n", odd[i], result(ADJUST(odd[i], &time)));
    printf("clock_adjtime NULL: %s\n", result(ADJUST(0, NULL)));
    printf("clock_adjtime a bad time: %s\n", result(ADJUST(1, BAD)));
    printf("clock_adjtime a time at the edge: %s\n", result(ADJUST(99, at_edge(sizeof time - 1))));
    time.modes = 0x100, time.time.tv_usec = -5;
    printf("clock_adjtime an odd offset: %s\n", result(ADJUST(0, &time)));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        memset(&time, 0, sizeof time);
        time.modes = ADJ_FREQUENCY;
        if (setuid(65534))
            _exit(1);
        printf("clock_adjtime unprivileged: %s\n", result(ADJUST(0, &time)));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 1;
    by_symbol = !strcmp(argv[1], "symbol");
    if (!by_symbol) {
        clones();
        async_io();
    }
    execs();
    memory();
    clocks();
    limits();
    return 0;
}
