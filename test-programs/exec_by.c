/* exec_by [vfork|thread] HOW ENVIRONMENT TARGET: executes TARGET with nine arguments, by the function HOW,
 * in this process, in a vfork child, or from a thread with a stack of 16 KiB. ENVIRONMENT is
 *
 * own            what this program got: for functions without an environment of their own, the caller's
 * null, clear    NULL; what clearenv(3) leaves
 * file:PATH      the strings of a file, each with its NUL behind it; an empty file is an empty environment
 * many:N         N variables
 * address        a bad address; string: one bad string among good ones; unended: an array that runs out of memory
 * edge           a good array and a good string that both end where memory does
 *
 * Prints what a failure set errno to (or a spawn function gave), and errno if a success changed it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static const char *how;
static char *path, **envp;

#define WORDS path, "1", "two words", "", "4", "5", "6", "7", "8", (char *)0

static int spawned(int error, pid_t child)
{
    int status;
    if (error)
        printf("%s gives %d\n", how, error);
    else
        waitpid(child, &status, 0);
    if (errno != 77)
        printf("%s sets errno %d\n", how, errno);
    return 0;
}

static int execute(void)
{
    char *argv[] = {WORDS};
    pid_t child;
    int fd = open(path, strstr(how, "path-fd") ? O_PATH : O_RDONLY | O_NONBLOCK);
    if (strstr(how, "fexecve") && fd < 0) {
        printf("open %d\n", errno);
        return 0;
    }
    fcntl(fd, F_SETFD, strstr(how, "keep") ? 0 : FD_CLOEXEC);
    errno = 77;
#define IS(text) (!strcmp(how, text))
    if (IS("execve")) return execve(path, argv, envp);
    if (IS("execv")) return execv(path, argv);
    if (IS("execvp")) return execvp(path, argv);
    if (IS("execvpe")) return execvpe(path, argv, envp);
    if (IS("execl")) return execl(path, WORDS);
    if (IS("execle")) return execle(path, WORDS, envp);
    if (IS("execlp")) return execlp(path, WORDS);
    if (IS("fexecve") || IS("fexecve-path-fd")) return fexecve(fd, argv, envp);
    if (IS("execveat")) return execveat(AT_FDCWD, path, argv, envp, 0);
    if (IS("execveat-fd")) return execveat(fd, "", argv, envp, AT_EMPTY_PATH);
    if (IS("SYS_execve")) return syscall(SYS_execve, path, argv, envp);
    if (IS("SYS_execveat")) return syscall(SYS_execveat, AT_FDCWD, path, argv, envp, 0);
    if (IS("SYS_execveat-fd")) return syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
    if (IS("posix_spawn")) return spawned(posix_spawn(&child, path, 0, 0, argv, envp), child);
    if (IS("posix_spawnp")) return spawned(posix_spawnp(&child, path, 0, 0, argv, envp), child);
    printf("unknown function %s\n", how);
    return 0;
}

/* Memory with nothing behind it. */
static char *edge(size_t size)
{
    char *two = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(two + 4096, 4096);
    return two + 4096 - size;
}

static char **from_file(const char *name)
{
    struct stat stat;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || fstat(fd, &stat))
        exit(99);
    char *text = malloc(stat.st_size + 1);
    if (read(fd, text, stat.st_size) != stat.st_size)
        exit(99);
    close(fd);
    char **list = calloc(stat.st_size + 1, sizeof *list);
    size_t count = 0;
    for (char *at = text; at < text + stat.st_size; at += strlen(at) + 1)
        list[count++] = at;
    return list;
}

static void prepare(const char *kind)
{
    static char *empty[] = {0}, *bad[] = {"GOOD=1", (char *)8, "BEHIND=1", 0};
    envp = empty;
    if (!strcmp(kind, "own")) envp = environ;
    else if (!strcmp(kind, "null")) envp = 0;
    else if (!strcmp(kind, "clear")) { clearenv(); envp = environ; }
    else if (!strncmp(kind, "file:", 5)) envp = from_file(kind + 5);
    else if (!strcmp(kind, "address")) envp = (char **)8;
    else if (!strcmp(kind, "string")) envp = bad;
    else if (!strcmp(kind, "unended")) {
        envp = (char **)edge(2 * sizeof *envp);
        envp[0] = envp[1] = "A=1";
    } else if (!strcmp(kind, "edge")) {
        envp = (char **)edge(3 * sizeof *envp);
        envp[0] = strcpy(edge(6), "A=123");
        envp[1] = strcpy(edge(1), "");
    } else if (!strncmp(kind, "many:", 5)) {
        int count = atoi(kind + 5);
        envp = calloc(count + 1, sizeof *envp);
        for (int i = 0; i < count; i++)
            if (asprintf(&envp[i], "VARIABLE_%d=%d", i, i * i) < 0)
                exit(99);
    }
    /* Others would read a bad environment themselves. */
    if (strcmp(kind, "address") && strcmp(kind, "string") && strcmp(kind, "unended"))
        environ = envp;
}

static void *in_thread(void *unused)
{
    if (execute() < 0) {
        /* printf is for larger stacks. */
        char text[] = "fails ___\n";
        for (int i = 8, error = errno; i > 5; i--, error /= 10)
            text[i] = '0' + error % 10;
        if (write(1, text, sizeof text - 1) < 0)
            _exit(99);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int vforked = !strcmp(argv[1], "vfork"), threaded = !strcmp(argv[1], "thread");
    argv += vforked + threaded;
    how = argv[1];
    path = argv[3];
    prepare(argv[2]);
    if (threaded) {
        pthread_t id;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        if (pthread_attr_setstacksize(&attributes, 16384) || pthread_create(&id, &attributes, in_thread, 0))
            return 99;
        pthread_join(id, 0);
    } else if (vforked) {
        int status;
        pid_t child = vfork();
        if (!child) {
            execute();
            _exit(errno);
        }
        waitpid(child, &status, 0);
        printf("child %x\n", status);
    } else if (execute() < 0) {
        printf("%s fails %d\n", how, errno);
    }
    return 0;
}
