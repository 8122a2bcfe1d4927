/* ask: makes the calls it reads, one a line, `DOOR CALL ARGUMENT...`, and prints for each
 * `RESULT ERRNO BUFFER...`: the buffers of the arguments whole, as hex. errno is 1234 before each call.
 *
 * DOOR: inline (the instruction, past every preload), syscall (libc's function), symbol (as libc exports it).
 * CALL: a name below, or a number. `_sysctl` with six arguments packs them into its struct.
 * ARGUMENT: a number; dev:PATH (device of a file); null; bad (unmapped); kernel (an address of the kernel's);
 *   none (PROT_NONE); ro:N (read-only); buf:N; deep:N (stack that was never touched); edge:N (ends where
 *   an unmapped page begins); each N bytes of 0xa5, and for buf 32 more to catch what is written too far;
 *   str:TEXT; edgestr:TEXT (its NUL is the last byte that can be read); cutstr:TEXT (no NUL before the
 *   unmapped page); long:N (N letters); ints:1,2; longs:1,2; %XX is a byte in TEXT.
 * `peek ADDRESS LENGTH` shows memory that a call left, as if it were a buffer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, MOST = 6, BEYOND = 32, FILLING = 0xa5 };

static const struct { const char *name; long number; } calls[] = {
    {"_sysctl", 156}, {"ustat", 136}, {"sysfs", 139}, {"query_module", 178}, {"get_kernel_syms", 177},
    {"uselib", 134}, {"epoll_create", 213}, {"getpmsg", 181}, {"putpmsg", 182},
    {"uname", 63}, {"sysinfo", 99},
};

static struct { unsigned char *at; size_t shown; void *map; size_t mapped; } buffers[16];
static int used;

static long call_number(const char *name)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(name, calls[i].name))
            return calls[i].number;
    return strtol(name, NULL, 0);
}

/* N bytes, the last of them in front of a page that cannot be touched. */
static unsigned char *at_edge(size_t length)
{
    size_t room = (length + PAGE) / PAGE * PAGE;
    unsigned char *map = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        perror("ask: mmap");
        exit(2);
    }
    mprotect(map + room, PAGE, PROT_NONE);
    memset(map, FILLING, room);
    buffers[used].at = map + room - length;
    buffers[used].shown = length;
    buffers[used].map = map;
    buffers[used].mapped = room + PAGE;
    return buffers[used++].at;
}

/* Another 256 KiB further down the stack each time. */
static unsigned char *deep(size_t length)
{
    static size_t down;
    down += 256 * 1024;
    buffers[used].at = (unsigned char *)__builtin_frame_address(0) - down;
    buffers[used].shown = length;
    buffers[used].map = NULL;
    return buffers[used++].at;
}

static long text(const char *text, int with_nul, size_t space)
{
    size_t length = 0;
    char *plain = malloc(strlen(text) + 1);
    for (; *text; text++) {
        unsigned byte;
        if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1) {
            plain[length++] = byte;
            text += 2;
        } else {
            plain[length++] = *text;
        }
    }
    plain[length] = 0;
    unsigned char *place = at_edge(length + with_nul + space);
    memcpy(place, plain, length + with_nul);
    free(plain);
    return (long)place;
}

static long numbers(const char *list, size_t size)
{
    size_t count = 0;
    long long values[32];
    for (char *end; *list && count < 32; list = *end ? end + 1 : end, count++) {
        values[count] = (long long)strtoull(list, &end, 0);
        if (end == list)
            break;
    }
    unsigned char *place = at_edge(count * size);
    for (size_t i = 0; i < count; i++)
        memcpy(place + i * size, &values[i], size);
    return (long)place;
}

static long argument(const char *word)
{
    const char *rest = strchr(word, ':');
    rest = rest ? rest + 1 : word;
    size_t length = strtoull(rest, NULL, 0);
    struct stat file;
    if (!strcmp(word, "null")) return 0;
    if (!strcmp(word, "bad")) return 0x12345000;
    if (!strcmp(word, "kernel")) return (long)0xffff888000001000;
    if (!strcmp(word, "none")) return (long)(at_edge(0), buffers[--used].map + PAGE);
    if (!strncmp(word, "dev:", 4)) return stat(rest, &file) ? -1 : (long)file.st_dev;
    if (!strncmp(word, "edge:", 5)) return (long)at_edge(length);
    if (!strncmp(word, "deep:", 5)) return (long)deep(length);
    if (!strncmp(word, "buf:", 4)) return (long)at_edge(length + BEYOND);
    if (!strncmp(word, "ro:", 3)) {
        long place = (long)at_edge(length);
        mprotect(buffers[used - 1].map, buffers[used - 1].mapped - PAGE, PROT_READ);
        return place;
    }
    if (!strncmp(word, "str:", 4)) return text(rest, 1, BEYOND);
    if (!strncmp(word, "edgestr:", 8)) return text(rest, 1, 0);
    if (!strncmp(word, "cutstr:", 7)) return text(rest, 0, 0);
    if (!strncmp(word, "long:", 5)) {
        unsigned char *place = at_edge(length + 1);
        memset(place, 'a', length);
        place[length] = 0;
        buffers[used - 1].shown = 0;
        return (long)place;
    }
    if (!strncmp(word, "ints:", 5)) return numbers(rest, sizeof(int));
    if (!strncmp(word, "longs:", 6)) return numbers(rest, sizeof(long));
    return *word == '-' ? strtol(word, NULL, 0) : (long)strtoul(word, NULL, 0);
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

static long ask(const char *door, const char *name, const long *a)
{
    typedef int (*function)(long, long, long, long, long, long);
    if (!strcmp(door, "inline"))
        return inline_call(call_number(name), a);
    if (!strcmp(door, "syscall"))
        return syscall(call_number(name), a[0], a[1], a[2], a[3], a[4], a[5]);
    function symbol = (function)dlsym(RTLD_DEFAULT, name);
    if (!symbol) {
        errno = ENOSYS;
        return -1;
    }
    errno = 1234;
    return symbol(a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* A descriptor is shown by what it is and its flags, then closed. */
static void show_descriptor(long fd)
{
    char path[64], what[256] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%ld", fd);
    if (readlink(path, what, sizeof what - 1) < 0)
        strcpy(what, "no-descriptor");
    printf(" %s:%d", what, fcntl((int)fd, F_GETFD));
    close((int)fd);
}

static void peek(const char *address, const char *length)
{
    static unsigned char bytes[PAGE];
    struct iovec local = {bytes, strtoul(length, NULL, 0)};
    struct iovec remote = {(void *)strtoul(address, NULL, 0), local.iov_len};
    errno = 1234;
    ssize_t got = local.iov_len > sizeof bytes ? -1 : process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    printf("%zd %d =", got, errno);
    for (ssize_t n = 0; n < got; n++)
        printf("%02x", bytes[n]);
    putchar('\n');
}

int main(void)
{
    static char line[1 << 16], out[1 << 16];
    setvbuf(stdout, out, _IOLBF, sizeof out);
    while (fgets(line, sizeof line, stdin)) {
        char *save, *door = strtok_r(line, " \n", &save), *name = strtok_r(NULL, " \n", &save), *word;
        long a[MOST] = {0};
        int count = 0;
        if (!door || !name)
            continue;
        if (!strcmp(door, "peek") && (word = strtok_r(NULL, " \n", &save))) {
            peek(name, word);
            continue;
        }
        used = 0;
        while (count < MOST && (word = strtok_r(NULL, " \n", &save)))
            a[count++] = argument(word);
        long packed[10] = {a[0], a[1], a[2], a[3], a[4], a[5], 0, 0, 0, 0};
        if (!strcmp(name, "_sysctl") && count == MOST)
            memset(a, 0, sizeof a), a[0] = (long)packed;
        errno = 1234;
        long result = ask(door, name, a);
        printf("%ld %d", result, errno);
        for (int i = 0; i < used; i++) {
            printf(" =");
            for (size_t n = 0; n < buffers[i].shown; n++)
                printf("%02x", buffers[i].at[n]);
            if (buffers[i].map)
                munmap(buffers[i].map, buffers[i].mapped);
            memset(&buffers[i], 0, sizeof buffers[i]);
        }
        if (!strcmp(name, "epoll_create") && result >= 0)
            show_descriptor(result);
        putchar('\n');
    }
    return 0;
}
