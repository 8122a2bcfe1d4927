/* old_interfaces [FILE]: asks the kernel every call that it has lost or may be built without, with harmless arguments,
 * and prints `NAME ANSWER` for each: an errno, or "answers". Then each line of FILE: NAME, a call's number and up to
 * six arguments; there a result that is no descriptor is printed as a number. For x86-64: calls go by number. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NR_SOCKET = 41, NR_MODIFY_LDT = 154, NR_EPOLL_CREATE = 213 };

static const char *failed(int number)
{
    const char *name = strerrorname_np(number);
    return name ? name : "an unknown errno";
}

static long call(long number, const long *a)
{
    errno = 0;
    long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    /* modify_ldt gives an int, which 64-bit kernels do not extend. */
    if (number == NR_MODIFY_LDT && (int)result < 0 && result != -1)
        errno = -(int)result, result = -1;
    return result;
}

static void ask(const char *name, long number, long a, long b, long c, long d)
{
    long result = call(number, (long[]){a, b, c, d, 0, 0});
    printf("%s %s\n", name, result == -1 ? failed(errno) : "answers");
    if (number == NR_EPOLL_CREATE && result >= 0)
        close((int)result);
}

static void calls(void)
{
    static char text[4096];
    int release[] = {1, 2};
    size_t size = sizeof text;
    void *sysctl[10] = {release, (void *)2, text, &size};
    struct stat root;
    stat("/", &root);
    ask("_sysctl", 156, (long)sysctl, 0, 0, 0);
    ask("ustat", 136, (unsigned)root.st_dev, (long)text, 0, 0);
    ask("sysfs", 139, 3, 0, 0, 0);
    ask("query_module", 178, 0, 0, 0, 0);
    ask("create_module", 174, (long)"no_module", 0, 0, 0);
    ask("get_kernel_syms", 177, 0, 0, 0, 0);
    ask("uselib", 134, (long)"/no/such/library", 0, 0, 0);
    ask("nfsservctl", 180, -1, 0, 0, 0);
    ask("lookup_dcookie", 212, 0, (long)text, sizeof text, 0);
    ask("modify_ldt", 154, 0, (long)text, 16, 0);
    ask("iopl", 172, 0, 0, 0, 0);
    ask("ioperm", 173, 0, 1, 0, 0);
    ask("set_thread_area", 205, 0, 0, 0, 0);
    ask("get_thread_area", 211, 0, 0, 0, 0);
    ask("getpmsg", 181, -1, 0, 0, 0);
    ask("putpmsg", 182, -1, 0, 0, 0);
    ask("afs_syscall", 183, -1, 0, 0, 0);
    ask("tuxcall", 184, -1, 0, 0, 0);
    ask("security", 185, -1, -1, 0, 0);
    ask("vserver", 236, -1, 0, 0, 0);
    ask("epoll_ctl_old", 214, -1, 0, 0, 0);
    ask("epoll_wait_old", 215, -1, 0, 0, 0);
    ask("epoll_create", 213, 16, 0, 0, 0);
    ask("remap_file_pages", 216, 0, 0, 0, 0);
    ask("acct", 163, (long)"/no/such/file", 0, 0, 0);
    ask("quotactl", 179, 0, 0, 0, 0);
    ask("swapon", 167, (long)"/no/such/file", 0, 0, 0);
}

static void lines(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        perror(path);
        exit(1);
    }
    char line[256];
    while (fgets(line, sizeof line, file)) {
        char name[64];
        long number, a[6] = {0};
        if (sscanf(line, "%63s %ld %ld %ld %ld %ld %ld %ld", name, &number, a, a + 1, a + 2, a + 3, a + 4, a + 5) < 2)
            continue;
        long result = call(number, a);
        if (result == -1)
            printf("%s %s\n", name, failed(errno));
        else if (number == NR_SOCKET)
            printf("%s answers\n", name), close((int)result);
        else
            printf("%s %ld\n", name, result);
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    calls();
    if (argc > 1)
        lines(argv[1]);
    return 0;
}
