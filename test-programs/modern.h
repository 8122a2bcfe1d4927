/* What modern_io, modern_events, the superseded_ and some results_ programs share: a line `CALL KEY=VALUE...` makes
 * one call through a door, and its outcome is printed behind it. `PROGRAM syscall|symbol` makes the checks of the
 * program's own list; `PROGRAM ask` reads lines `DOOR CALL KEY=VALUE...`, DOOR being inline (the instruction, past
 * every preload), syscall (libc's function) or symbol (as libc exports it, where it does). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* libc's own ways to these lead through calls that a check may refuse. */
#ifdef OLD_CALLS_ARE_CHECKED
#define pipe(fds) syscall(SYS_pipe2, fds, 0)
#define dup2(old, new) syscall(SYS_dup3, old, new, 0)
#else
#define pipe(fds) syscall(SYS_pipe, fds)
#define epoll_create(size) (int)syscall(SYS_epoll_create, size)
#define epoll_wait(queue, events, most, time) (int)syscall(SYS_epoll_wait, queue, events, most, time)
#endif

enum { PAGE = 4096, FILLING = 0xa5, UNTOUCHED = 1234, READER = 200 };

static const char *door;
/* The program's own list is being made, natively too. */
static int checking;
static char *words[24];
static int word_count;

/* The value of a key of the line, or what stands for it. */
static const char *value(const char *key, const char *otherwise)
{
    size_t length = strlen(key);
    for (int i = 0; i < word_count; i++)
        if (!strncmp(words[i], key, length) && words[i][length] == '=')
            return words[i] + length + 1;
    return otherwise;
}

static long number(const char *key, long otherwise)
{
    const char *text = value(key, NULL);
    if (!text)
        return otherwise;
    return *text == '-' ? strtol(text, NULL, 0) : (long)strtoul(text, NULL, 0);
}

__attribute__((unused)) static int is(const char *key, const char *wanted)
{
    return !strcmp(value(key, ""), wanted);
}

/* Whether a check is left out: a libc reads this address itself in its function, and would die of a bad one. */
__attribute__((unused)) static int libc_reads(const char *key)
{
    const char *text = value(key, "0");
    int left_out = checking && !strcmp(door, "symbol") && *text != '-' && (*text < '0' || *text > '9');
    if (left_out)
        printf(" not asked");
    return left_out;
}

/* Maps of one line, given back after it. */
static struct { void *at; size_t length; } maps[64];
static int map_count;

/* LENGTH bytes in front of a page that cannot be touched, filled. */
static unsigned char *edge(size_t length)
{
    size_t room = (length + PAGE) / PAGE * PAGE;
    unsigned char *map = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || map_count == 64) {
        perror("mmap");
        exit(2);
    }
    mprotect(map + room, PAGE, PROT_NONE);
    memset(map, FILLING, room);
    maps[map_count].at = map;
    maps[map_count++].length = room + PAGE;
    return map + room - length;
}

/* An address as a line names it: null, bad, kernel, high (the last of the program's), ro, edge:N (too short),
 * or else a buffer. */
__attribute__((unused)) static void *place(const char *kind, size_t length)
{
    if (!strcmp(kind, "null")) return NULL;
    if (!strcmp(kind, "bad")) return (void *)0x12345000;
    if (!strcmp(kind, "kernel")) return (void *)0xffff888000001000;
    if (!strcmp(kind, "high")) return (void *)0x7fffffffeff0;
    if (!strncmp(kind, "edge:", 5)) return edge(strtoul(kind + 5, NULL, 0));
    unsigned char *at = edge(length);
    if (!strcmp(kind, "ro"))
        mprotect(maps[map_count - 1].at, maps[map_count - 1].length - PAGE, PROT_READ);
    return at;
}

static long inline_call(long number, const long *a)
{
    long result;
    register long d __asm__("r10") = a[3];
    register long e __asm__("r8") = a[4];
    register long f __asm__("r9") = a[5];
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(d), "r"(e), "r"(f)
                     : "rcx", "r11", "memory");
    if (result < 0 && result >= -4095) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

enum returned { INT, LONG };

/* A call through the door. NAME is the libc symbol, NULL where there is none. */
static long made(long number, const char *name, enum returned returned, const long *a)
{
    typedef long (*function)(long, long, long, long, long, long);
    function symbol = NULL;
    if (!strcmp(door, "symbol") && name && !(symbol = (function)dlsym(RTLD_DEFAULT, name))) {
        errno = ENOSYS;
        return -1;
    }
    errno = UNTOUCHED;
    if (!strcmp(door, "inline"))
        return inline_call(number, a);
    if (!symbol)
        return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    long result = symbol(a[0], a[1], a[2], a[3], a[4], a[5]);
    return returned == INT ? (int)result : result;
}

__attribute__((unused)) static uint32_t hash(uint32_t sum, const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    while (length--)
        sum = (sum ^ *byte++) * 16777619;
    return sum;
}

/* A pattern that shows where each byte came from. */
static void pattern(unsigned char *to, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (unsigned char)(seed + i * 7 + (i >> 8) * 13);
}

/* The result of a call, its errno where it failed, and a complaint where it did not and changed errno. */
__attribute__((unused)) static void outcome(long result)
{
    int error = errno;
    printf(" %ld", result);
    if (result < 0)
        printf(" errno %d", error);
    else if (error != UNTOUCHED)
        printf(" but errno %d", error);
}

/* A file of SIZE bytes that only memory holds, opened anew. */
static int memory_file(size_t size, unsigned seed, int flags, int *other, int other_flags)
{
    char path[64];
    int file = (int)syscall(319, "modern", 1 /* MFD_CLOEXEC */);
    unsigned char bytes[4096];
    for (size_t done = 0, part; done < size; done += part) {
        part = size - done < sizeof bytes ? size - done : sizeof bytes;
        pattern(bytes, part, seed + done);
        if (write(file, bytes, part) != (ssize_t)part)
            exit(2);
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int opened = open(path, flags | O_CLOEXEC);
    if (other)
        *other = open(path, other_flags | O_CLOEXEC);
    close(file);
    return opened;
}

__attribute__((unused)) static int open_flags(const char *key, const char *otherwise)
{
    const char *text = value(key, otherwise);
    int flags = strstr(text, "rw") ? O_RDWR : strchr(text, 'w') ? O_WRONLY : O_RDONLY;
    if (strchr(text, 'a'))
        flags |= O_APPEND;
    if (strchr(text, 'p'))
        flags |= O_PATH;
    if (strchr(text, 'n'))
        flags |= 3;
    return flags;
}

/* A descriptor as a line names it: file (or nothing), dir, pipe, null, socket, closed, temp, proc. */
__attribute__((unused)) static int descriptor(const char *kind, size_t size, int flags)
{
    int pair[2];
    if (!strcmp(kind, "dir")) return open("/", (flags & O_PATH) | O_RDONLY | O_DIRECTORY);
    if (!strcmp(kind, "null")) return open("/dev/null", flags);
    if (!strcmp(kind, "proc")) return open("/proc/self/comm", flags);
    if (!strcmp(kind, "closed")) return 999;
    if (!strcmp(kind, "pipe") || !strcmp(kind, "pipew")) {
        if (pipe(pair))
            exit(2);
        int writer = kind[4] == 'w';
        // A reader that stays, high up, until the line is done.
        if (writer)
            dup2(pair[0], READER);
        if (size && !writer && write(pair[1], "0123456789abcdefghijklmnopqrstuv", size < 32 ? size : 32) < 0)
            exit(2);
        close(pair[!writer]);
        return pair[writer];
    }
    if (!strcmp(kind, "temp")) {
        char path[] = "/tmp/modern.XXXXXX";
        int file = mkostemp(path, O_CLOEXEC);
        unlink(path);
        return file;
    }
    return memory_file(size, 1, flags, NULL, 0);
}

struct call { const char *name; void (*make)(void); };
extern const struct call calls[];
extern const char *const checks[];

/* Makes the call of a line: prints it with its outcome, or the outcome alone. */
static void line(char *text, int with_line)
{
    char copy[1024], *save, *name;
    snprintf(copy, sizeof copy, "%s", text);
    copy[strcspn(copy, "\n")] = 0;
    name = strtok_r(text, " \n", &save);
    for (word_count = 0; word_count < 24 && (words[word_count] = strtok_r(NULL, " \n", &save)); word_count++)
        ;
    if (with_line)
        printf("%s:", copy);
    for (const struct call *call = calls; call->name; call++)
        if (name && !strcmp(name, call->name))
            call->make();
    putchar('\n');
    fflush(stdout);
    while (map_count)
        map_count--, munmap(maps[map_count].at, maps[map_count].length);
    close(READER);
    // No call leaves a descriptor behind but what its check closed.
    int left = dup(0);
    if (left != 3)
        printf("%s: descriptor %d is the first free one\n", copy, left);
    close(left);
}

int main(int argc, char **argv)
{
    static char text[1 << 14], out[1 << 16];
    setvbuf(stdout, out, _IOFBF, sizeof out);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {60, 0}}, NULL);
    if (argc == 2 && strcmp(argv[1], "ask")) {
        door = argv[1];
        checking = 1;
        for (int i = 0; checks[i]; i++)
            line(strcpy(text, checks[i]), 1);
        return 0;
    }
    static char first[16];
    door = first;
    while (fgets(text, sizeof text, stdin)) {
        char *space = strchr(text, ' ');
        if (!space)
            return 2;
        *space = 0;
        strncpy(first, text, sizeof first - 1);
        line(space + 1, 0);
    }
    return 0;
}
