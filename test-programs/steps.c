/* steps STEP...: does these in order, one a word; what a test wants done around translated calls.
 *
 * ustat, ustat*N     ustat(2) of /, N times; sysfs, epoll, badstring likewise one call each
 * library:PATH       uselib(PATH); mounted:PATH: ustat of the device that PATH lies on
 * fork, vfork        the next step in such a child that ends by _exit; its parent waits, then goes on
 * forked-threads     the next step in a child forked while four threads translate
 * thread:N*M         N threads with M ustat calls each
 * signals:N          ustat in a SIGALRM handler, N times at a high rate, and in the program it interrupts
 * close:FD, closefrom:FD, open:PATH (lowest free), over:PATH (opened, then dup2 over 2), tty-stop:FD
 * fill:FD            writes to a pipe until it is full; drain:FD reads it empty
 * unlink:PATH; anew: closefrom:3 and ustat in one step
 * limit:BYTES        RLIMIT_FSIZE, as a soft limit
 * handle:SIG, block:SIG, unblock:SIG, ignore:SIG, kill:SIG (the process), raise:SIG (the thread); SIG is a number
 * signal-state       prints what the kernel says is pending, blocked, ignored, caught, and how often handled
 * say:TEXT           prints TEXT and a newline; wait: prints "waiting", then reads a byte from standard input
 * fds                prints the number of open descriptors
 * _exit _Exit exit exit_group return exec:PATH    ends
 *
 * Prints on descriptor 1, unbuffered; a call that gives an unexpected answer prints so. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { NR_uselib = 134, NR_ustat = 136, NR_sysfs = 139, NR_epoll_create = 213 };

static unsigned root_device;
static volatile int stop, handled[65];

static void say(const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (write(1, text, length) != length)
        _exit(99);
}

static void check(const char *what, int good)
{
    if (!good)
        say("%s: wrong, errno %d\n", what, errno);
}

static void ustat_device(unsigned device)
{
    char fs[32];
    errno = 77;
    check("ustat", syscall(NR_ustat, device, fs) == 0 && errno == 77);
}

static void *ustat_often(void *count)
{
    for (long i = 0; i < (long)count && !stop; i++)
        ustat_device(root_device);
    return 0;
}

static void threads(int count, long calls)
{
    pthread_t ids[256];
    for (int i = 0; i < count; i++)
        check("pthread_create", !pthread_create(&ids[i], 0, ustat_often, (void *)calls));
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], 0);
}

static void count_signal(int signal) { handled[signal]++; }

static void translate_in_handler(int signal)
{
    handled[signal]++;
    ustat_device(root_device);
}

static void signals(int count)
{
    struct sigaction action = {.sa_handler = translate_in_handler, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &often, 0);
    while (handled[SIGALRM] < count)
        ustat_device(root_device);
    setitimer(ITIMER_REAL, &never, 0);
}

static void signal_state(void)
{
    char line[256];
    FILE *status = fopen("/proc/thread-self/status", "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "SigPnd", 6) || !strncmp(line, "ShdPnd", 6) || !strncmp(line, "SigBlk", 6) ||
            !strncmp(line, "SigIgn", 6) || !strncmp(line, "SigCgt", 6))
            say("%s", line);
    fclose(status);
    for (int i = 1; i < 65; i++)
        if (handled[i])
            say("signal %d handled %d times\n", i, handled[i]);
}

static void step(const char *word);

static void in_fork(pid_t (*make)(void), const char *word)
{
    pid_t child = make();
    if (!child) {
        step(word);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    check(word, status == 0);
}

static void fork_in_threads(const char *word)
{
    pthread_t ids[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&ids[i], 0, ustat_often, (void *)1000000);
    for (int i = 0; i < 20; i++)
        in_fork(fork, word);
    stop = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(ids[i], 0);
    stop = 0;
}

static void fill(int fd)
{
    char bytes[4096];
    int flags = fcntl(fd, F_GETFL);
    memset(bytes, '-', sizeof bytes);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    for (size_t size = sizeof bytes; size; size /= 2)
        while (write(fd, bytes, size) > 0)
            ;
    fcntl(fd, F_SETFL, flags);
}

static void drain(int fd)
{
    char bytes[65536];
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
    fcntl(fd, F_SETFL, flags);
}

static void open_descriptors(void)
{
    int count = -1; /* the folder's own */
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    say("%d descriptors\n", count);
}

static void mask(int how, int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(how, &set, 0);
}

static void over(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    check(path, dup2(fd, 2) == 2);
    close(fd);
}

static void step(const char *word)
{
    char name[32] = "";
    size_t end = strcspn(word, ":*");
    memcpy(name, word, end < sizeof name ? end : sizeof name - 1);
    const char *value = word[end] ? word + end + 1 : "";
    int number = atoi(value);
#define IS(text) (!strcmp(name, text))
    if (IS("ustat")) ustat_often((void *)(long)(*value ? number : 1));
    else if (IS("sysfs")) check(word, syscall(NR_sysfs, 1, "proc") >= 0);
    else if (IS("epoll")) { int fd = syscall(NR_epoll_create, 1); check(word, fd >= 0); close(fd); }
    else if (IS("badstring")) check(word, syscall(NR_uselib, (char *)8) == -1 && errno == EFAULT);
    else if (IS("library")) check(name, syscall(NR_uselib, value) == -1);
    else if (IS("mounted")) { struct stat at; check(word, !stat(value, &at)); ustat_device(at.st_dev); }
    else if (IS("thread")) threads(number, atol(strchr(value, '*') + 1));
    else if (IS("signals")) signals(number);
    else if (IS("close")) close(number);
    else if (IS("closefrom")) check(word, !close_range(number, ~0u, 0));
    else if (IS("open")) say("opened as %d\n", open(value, O_RDWR | O_CREAT, 0600));
    else if (IS("over")) over(value);
    else if (IS("tty-stop")) check(word, !tcflow(number, TCOOFF));
    else if (IS("fill")) fill(number);
    else if (IS("anew")) { check(word, !close_range(3, ~0u, 0)); ustat_device(root_device); }
    else if (IS("unlink")) check(word, !unlink(value));
    else if (IS("drain")) drain(number);
    else if (IS("limit")) { struct rlimit limit = {number, RLIM_INFINITY}; check(word, !setrlimit(RLIMIT_FSIZE, &limit)); }
    else if (IS("handle")) signal(number, count_signal);
    else if (IS("ignore")) signal(number, SIG_IGN);
    else if (IS("block")) mask(SIG_BLOCK, number);
    else if (IS("unblock")) mask(SIG_UNBLOCK, number);
    else if (IS("kill")) kill(getpid(), number);
    else if (IS("raise")) raise(number);
    else if (IS("signal-state")) signal_state();
    else if (IS("say")) say("%s\n", value);
    else if (IS("wait")) { char byte; say("waiting\n"); check(word, read(0, &byte, 1) >= 0); }
    else if (IS("fds")) open_descriptors();
    else if (IS("_exit")) _exit(0);
    else if (IS("_Exit")) _Exit(0);
    else if (IS("exit")) exit(0);
    else if (IS("exit_group")) syscall(SYS_exit_group, 0);
    else if (IS("exec")) { execl(value, value, (char *)0); check(word, 0); }
    else say("unknown step %s\n", word);
}

int main(int argc, char **argv)
{
    struct stat root;
    stat("/", &root);
    root_device = root.st_dev;
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "return"))
            return 0;
        else if (!strcmp(argv[i], "fork"))
            in_fork(fork, next), i++;
        else if (!strcmp(argv[i], "vfork"))
            in_fork(vfork, next), i++;
        else if (!strcmp(argv[i], "forked-threads"))
            fork_in_threads(next), i++;
        else
            step(argv[i]);
    }
    return 0;
}
