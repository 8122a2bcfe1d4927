/* bad_pointers exec|calls: calls with addresses that are no good. Prints each call's result and errno, each
 * in a child of its own, with the signal that ended it if one did. */
#define _GNU_SOURCE
#include "translate.h"
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

static char *page_end, *no_page;
static const char *name_of_pointer[] = {"null", "one", "no page", "page end", "kernel", "odd"};
enum { POINTERS = 6 };

static void *pointer(int index)
{
    void *all[POINTERS] = {0, (void *)1, no_page, page_end - 3, (void *)0xffff800000000000, page_end - 4093};
    return all[index];
}

static char *self[] = {"/bin/true", 0};
static char *environment[] = {"A=1", 0};
static pid_t spawned;

static long exec_call(int which, void *bad)
{
    /* A good array with a bad string in it. */
    char *with_bad[] = {"A=1", bad ? bad : (char *)1, 0};
    switch (which) {
    case 0: return execve(bad, self, environment);
    case 1: return execve("/bin/true", bad, environment);
    case 2: return execve("/bin/true", self, bad);
    case 3: return execve("/bin/true", with_bad, environment);
    case 4: return execve("/bin/true", self, with_bad);
    case 5: return syscall(SYS_execve, "/bin/true", self, bad);
    case 6: return syscall(SYS_execve, "/bin/true", self, with_bad);
    case 7: return syscall(SYS_execveat, AT_FDCWD, bad, self, environment, 0);
    case 8: return syscall(SYS_execveat, AT_FDCWD, "/bin/true", self, bad, 0);
    case 9: return execveat(AT_FDCWD, "/bin/true", bad, with_bad, 0);
    case 10: return fexecve(open("/bin/true", O_RDONLY), self, bad);
    case 11: return fexecve(-1, self, with_bad);
    case 12: return execvpe("/bin/true", self, bad);
    case 13: return execvpe("true", self, with_bad);
    case 14: return posix_spawn(&spawned, "/bin/true", 0, 0, self, bad);
    case 15: return posix_spawn(&spawned, "/bin/true", 0, 0, bad, environment);
    case 16: return posix_spawnp(&spawned, "true", 0, 0, self, with_bad);
    case 17: return posix_spawn(&spawned, bad, 0, 0, self, environment);
    case 18: return execve("/nonexistent", self, bad);
    case 19: return execve("", with_bad, bad);
    default: exit(100);
    }
}

static long rule_call(int which, void *bad)
{
    int name[] = {1, 2};
    char text[64];
    size_t length = sizeof text;
    struct stat root;
    stat("/", &root);
    void *bad_name[10] = {bad, (void *)2, text, &length, 0, 0};
    void *bad_old[10] = {name, (void *)2, bad, &length, 0, 0};
    void *bad_length[10] = {name, (void *)2, text, bad, 0, 0};
    void *bad_new[10] = {name, (void *)2, 0, 0, bad, (void *)8};
    switch (which) {
    case 0: return syscall(NR_ustat, (unsigned)root.st_dev, bad);
    case 1: return syscall(NR_sysfs, 1, bad);
    case 2: return syscall(NR_sysfs, 2, 0, bad);
    case 3: return syscall(NR_uselib, bad);
    case 4: return syscall(NR_sysctl, bad);
    case 5: return syscall(NR_sysctl, bad_name);
    case 6: return syscall(NR_sysctl, bad_old);
    case 7: return syscall(NR_sysctl, bad_length);
    case 8: return syscall(NR_sysctl, bad_new);
    case 9: return syscall(NR_query_module, bad, 1, text, sizeof text, &length);
    case 10: return syscall(NR_query_module, 0, 1, bad, sizeof text, &length);
    case 11: return syscall(NR_query_module, 0, 4, text, sizeof text, bad);
    case 12: return bad ? syscall(NR_get_kernel_syms, bad) : 0;
    case 13: return syscall(NR_getpmsg, 0, bad, bad, bad, bad);
    /* libc's own stime reads its argument itself. */
    case 14: return getenv("EVERCALL_FORCE") ? stime(bad) : 0;
    default: exit(100);
    }
}

int main(int argc, char **argv)
{
    int exec = !strcmp(argv[1], "exec");
    char *pages = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page_end = pages + 4096;
    no_page = page_end;
    memset(pages, 'x', 4096);
    munmap(no_page, 4096);
    setvbuf(stdout, 0, _IOLBF, 0);
    for (int which = 0, status = 0; WEXITSTATUS(status) != 100; which++)
        for (int p = 0; p < POINTERS && WEXITSTATUS(status) != 100; p++) {
            pid_t child = fork();
            if (!child) {
                errno = 0;
                long result = exec ? exec_call(which, pointer(p)) : rule_call(which, pointer(p));
                printf("%d %s: %ld errno %d\n", which, name_of_pointer[p], result, errno);
                exit(0);
            }
            waitpid(child, &status, 0);
            if (WIFSIGNALED(status))
                printf("%d %s: signal %d\n", which, name_of_pointer[p], WTERMSIG(status));
        }
    return 0;
}
