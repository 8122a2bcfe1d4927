/* init of the kernel matrix: the first process of a kernel that boots to be asked. Loads /modules, tells
 * what the kernel itself says and whether it answers the vsyscall page, makes the runs of the file /runs, and
 * resets the machine. Prints one record a line: "@evercall " and a JSON object; the last one counts the runs.
 *
 * /runs: one run a line, its words apart by tabs: bare, preload, force (with EVERCALL_FORCE=all), vsyscall
 * (with EVERCALL_VSYSCALL=on), or run (by
 * the command, which preloads itself), then the program and its arguments.
 * Bytes of output outside printable ASCII are written as \u00XX. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 20, LONGEST = 16384 };

static char *bare[] = {"PATH=/bin", "HOME=/", "LC_ALL=C", 0};
#define SETTINGS "EVERCALL_LIB=/evercall/libevercall.so", "EVERCALL_LOG=first", "EVERCALL_LOG_TO=/tmp/log"
static char *by_command[] = {"PATH=/bin", "HOME=/", "LC_ALL=C", SETTINGS, 0};
static char *preloaded[] = {"PATH=/bin", "HOME=/", "LC_ALL=C", SETTINGS, "LD_PRELOAD=/evercall/libevercall.so", 0};
static char *forced[] = {"PATH=/bin", "HOME=/", "LC_ALL=C", SETTINGS, "LD_PRELOAD=/evercall/libevercall.so",
                         "EVERCALL_FORCE=all", 0};
static char *vsyscall[] = {"PATH=/bin", "HOME=/", "LC_ALL=C", SETTINGS, "LD_PRELOAD=/evercall/libevercall.so",
                           "EVERCALL_VSYSCALL=on", 0};
static const struct { const char *name; char **environment; } modes[] = {
    {"bare", bare}, {"preload", preloaded}, {"force", forced}, {"vsyscall", vsyscall}, {"run", by_command}};

/* The record being written: it goes out in one write, so that nothing comes between. */
static char record[8 * LONGEST * 3];
static size_t length;

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    length += vsnprintf(record + length, sizeof record - length, format, list);
    va_end(list);
}

static void put_text(const char *name, const char *text, size_t size)
{
    put(",\"%s\":\"", name);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = text[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\')
            put("\\u%04x", c);
        else
            put("%c", c);
    }
    put("\"");
}

static void put_file(const char *name, const char *path)
{
    static char text[LONGEST];
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text);
    put_text(name, text, size < 0 ? 0 : size);
    if (fd >= 0)
        close(fd);
}

static void begin(const char *kind, const char *name)
{
    length = 0;
    put("@evercall {\"record\":\"%s\"", kind);
    put_text("name", name, strlen(name));
}

static void end(void)
{
    put("}\n");
    for (size_t done = 0; done < length;) {
        ssize_t wrote = write(1, record + done, length - done);
        if (wrote <= 0)
            break;
        done += wrote;
    }
}

static void say(const char *kind, const char *name, const char *text)
{
    begin(kind, name);
    put_text("text", text, strlen(text));
    end();
}

/* What the kernel says by newer ways: what the old interfaces must agree with. */
static void facts(void)
{
    struct utsname host;
    uname(&host);
    say("fact", "release", host.release);

    static const char *const lines_of[][2] = {
        {"modules", "/proc/modules"}, {"filesystems", "/proc/filesystems"}, {"page", "/proc/self/maps"}};
    for (size_t i = 0; i < sizeof lines_of / sizeof *lines_of; i++) {
        char line[512], text[16];
        int count = 0, page = 0;
        FILE *file = fopen(lines_of[i][1], "re");
        while (file && fgets(line, sizeof line, file)) {
            count++;
            page |= strstr(line, "[vsyscall]") != 0;
        }
        if (file)
            fclose(file);
        snprintf(text, sizeof text, "%d", count);
        say("fact", lines_of[i][0], strcmp(lines_of[i][0], "page") ? text : page ? "mapped" : "absent");
    }
    char line[64] = "";
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
    if (file && fgets(line, sizeof line, file))
        line[strcspn(line, "\n")] = 0;
    if (file)
        fclose(file);
    say("fact", "somaxconn", line);
}

/* Whether a call of each address of the vsyscall page comes back. What else is old, the program old_interfaces asks. */
static void interfaces(void)
{
    static const char *const functions[] = {"vsyscall gettimeofday", "vsyscall time", "vsyscall getcpu"};
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            long words[2] = {0}, (*function)(void *, void *) = (void *)(0xffffffffff600000 + 0x400 * i);
            function(i == 1 ? 0 : words, 0);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        say("interface", functions[i], WIFSIGNALED(status) ? "SIGSEGV" : "answers");
    }
}

static void insert_modules(void)
{
    static const char *const modules[] = {"dummy", "loop"};
    for (int i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "/modules/%s.ko", modules[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        long result = fd < 0 ? -1 : syscall(SYS_finit_module, fd, "", 0);
        say("module", modules[i], result < 0 ? strerrorname_np(errno) : "loaded");
        if (fd >= 0)
            close(fd);
    }
}

/* Runs a program with its output in /tmp, and prints what became of it. */
static void run(char *line)
{
    char *words[64];
    int count = 0;
    for (char *word = strtok(line, "\t\n"); word && count < 63; word = strtok(0, "\t\n"))
        words[count++] = word;
    words[count] = 0;
    if (count < 2)
        return;

    unlink("/tmp/log");
    pid_t child = fork();
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, 0);
        setsid();
        static const char *const files[] = {"/dev/null", "/tmp/stdout", "/tmp/stderr"};
        for (int fd = 0; fd < 3; fd++) {
            int file = open(files[fd], fd ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY, 0644);
            dup2(file, fd);
            close(file);
        }
        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
            if (!strcmp(words[0], modes[i].name))
                execve(words[1], words + 1, modes[i].environment);
        dprintf(2, "init: %s: %s\n", words[1], strerror(errno));
        _exit(127);
    }

    /* Children that were left behind end here too, so one signal may be another's. */
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    struct timespec now, until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SECONDS;
    int status = 0, timeout = 0;
    for (;;) {
        pid_t any;
        int its;
        while ((any = waitpid(-1, &its, WNOHANG)) > 0 && any != child)
            ;
        if (any == child) {
            status = its;
            break;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        struct timespec left = {until.tv_sec - now.tv_sec, 0};
        if (left.tv_sec > 0) {
            sigtimedwait(&ended, 0, &left);
        } else {
            timeout = 1;
            kill(-child, SIGKILL);
            waitpid(child, &status, 0);
            break;
        }
    }
    kill(-child, SIGKILL);

    length = 0;
    put("@evercall {\"record\":\"run\",\"mode\":\"%s\",\"command\":[", words[0]);
    for (int i = 1; i < count; i++)
        put("%s\"%s\"", i > 1 ? "," : "", words[i]);
    put("]");
    if (timeout)
        put(",\"timeout\":true");
    if (WIFSIGNALED(status))
        put(",\"signal\":%d", WTERMSIG(status));
    else
        put(",\"exit\":%d", WEXITSTATUS(status));
    put_file("stdout", "/tmp/stdout");
    put_file("stderr", "/tmp/stderr");
    put_file("log", "/tmp/log");
    end();
}

int main(void)
{
    mkdir("/proc", 0755), mkdir("/sys", 0755), mkdir("/dev", 0755), mkdir("/tmp", 01777);
    mount("proc", "/proc", "proc", 0, 0);
    mount("sysfs", "/sys", "sysfs", 0, 0);
    mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
    mount("tmpfs", "/tmp", "tmpfs", 0, 0);
    /* Only emergencies from the kernel: the rest would come between our lines. */
    klogctl(8, 0, 1);
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, 0);

    insert_modules();
    facts();
    interfaces();
    static char line[4096];
    int runs = 0;
    FILE *file = fopen("/runs", "re");
    for (; file && fgets(line, sizeof line, file); runs++)
        run(line);

    length = 0;
    put("@evercall {\"record\":\"end\",\"runs\":%d", runs);
    end();
    tcdrain(1);
    reboot(RB_AUTOBOOT);
}
