/* legacy [NAME...]: what programs of the 2.4 and 2.6 age asked the kernel, one line an answer; a number
 * of failures as exit status. Builds with every libc: calls go through syscall(). */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __i386__
enum { NR_sysctl = 149, NR_ustat = 62, NR_sysfs = 135, NR_query_module = 167, NR_epoll_create = 254 };
#else
enum { NR_sysctl = 156, NR_ustat = 136, NR_sysfs = 139, NR_query_module = 178, NR_epoll_create = 213 };
#endif

struct sysctl_args {
    int *name;
    int nlen;
    void *oldval;
    size_t *oldlenp;
    void *newval;
    size_t newlen;
    unsigned long spare[4];
};

static int failures;

static void answer(const char *what, long result, const char *text)
{
    if (result < 0) {
        printf("%-28s fails: %s\n", what, strerror(errno));
        failures++;
    } else {
        printf("%-28s %s\n", what, text);
    }
}

static void sysctl_string(const char *what, int a, int b)
{
    int name[] = {a, b};
    char text[128] = "";
    size_t length = sizeof text - 1;
    struct sysctl_args args = {name, 2, text, &length, 0, 0, {0}};
    answer(what, syscall(NR_sysctl, &args), text);
}

static void kernel_release(void) { sysctl_string("sysctl kern.osrelease", 1, 2); }

static void somaxconn(void)
{
    int name[] = {3, 1, 18}, value = 0; /* CTL_NET, NET_CORE, NET_CORE_SOMAXCONN */
    size_t length = sizeof value;
    struct sysctl_args args = {name, 3, &value, &length, 0, 0, {0}};
    char text[32];
    long result = syscall(NR_sysctl, &args);
    snprintf(text, sizeof text, "%d", value);
    answer("sysctl net.core.somaxconn", result, text);
}

static void free_space(void)
{
    struct stat root;
    struct { int blocks; unsigned long inodes; char names[12]; } fs;
    memset(&fs, 0xff, sizeof fs);
    stat("/", &root);
    long result = syscall(NR_ustat, (unsigned)root.st_dev, &fs);
    answer("ustat of /", result, fs.blocks > 0 ? "has free blocks" : "no free blocks");
}

static void filesystems(void)
{
    char text[32], name[64] = "";
    long count = syscall(NR_sysfs, 3);
    snprintf(text, sizeof text, "%ld", count);
    answer("sysfs: file system types", count, text);
    long proc = syscall(NR_sysfs, 1, "proc");
    if (proc >= 0)
        syscall(NR_sysfs, 2, proc, name);
    answer("sysfs: proc is", proc, name);
}

static void modules(void)
{
    static char names[65536];
    size_t count = 0;
    char text[32];
    long result = syscall(NR_query_module, (char *)0, 1, names, sizeof names, &count);
    snprintf(text, sizeof text, "%zu loaded", count);
    answer("query_module: modules", result, text);
}

static void events(void)
{
    long fd = syscall(NR_epoll_create, 16);
    answer("epoll_create", fd, "a descriptor");
}

static const struct { const char *name; void (*ask)(void); } questions[] = {
    {"release", kernel_release}, {"somaxconn", somaxconn}, {"ustat", free_space},
    {"sysfs", filesystems},      {"modules", modules},     {"epoll", events},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        int wanted = argc < 2;
        for (int a = 1; a < argc; a++)
            wanted |= !strcmp(argv[a], questions[i].name);
        if (wanted)
            questions[i].ask();
    }
    return failures;
}
