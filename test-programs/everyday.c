/* everyday: files, folders, descriptors, children and the time, as any program uses them; a line an answer, the same on
 * every machine; a number of failures as exit status. Builds with every libc. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failures;

static void say(const char *what, int right)
{
    printf("%s %s\n", what, right ? "right" : strerror(errno));
    failures += !right;
}

int main(void)
{
    char folder[] = "/tmp/everyday.XXXXXX", byte = 'x';
    struct stat of;
    say("mkdtemp", mkdtemp(folder) && !chdir(folder));
    int file = open("file", O_RDWR | O_CREAT, 0600);
    say("open", file >= 0);
    say("write", write(file, "text", 4) == 4 && lseek(file, 0, SEEK_SET) == 0 && read(file, &byte, 1) == 1 && byte == 't');
    say("fstat", !fstat(file, &of) && of.st_size == 4);
    say("stat", !stat("file", &of) && of.st_size == 4);
    say("access", !access("file", R_OK | W_OK));
    say("chmod", !chmod("file", 0640) && !stat("file", &of) && (of.st_mode & 0777) == 0640);
    say("link", !link("file", "hard") && !symlink("file", "soft") && !lstat("soft", &of) && S_ISLNK(of.st_mode));
    say("mkdir", !mkdir("inner", 0755) && !rename("hard", "inner/moved"));
    DIR *all = opendir(".");
    int seen = 0;
    while (all && readdir(all))
        seen++;
    say("readdir", seen == 5);
    if (all)
        closedir(all);
    int ends[2];
    say("pipe", !pipe(ends) && write(ends[1], "p", 1) == 1);
    struct pollfd ready = {ends[0], POLLIN, 0};
    say("poll", poll(&ready, 1, 1000) == 1);
    fd_set set;
    struct timeval second = {1, 0};
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    say("select", select(ends[0] + 1, &set, 0, 0, &second) == 1);
    say("dup2", dup2(ends[0], 50) == 50 && read(50, &byte, 1) == 1 && byte == 'p');
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(3);
    int status = 0;
    say("fork", child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    struct timeval now;
    say("time", time(0) > 1000000000 && !gettimeofday(&now, 0) && now.tv_sec > 1000000000);
    say("unlink", !unlink("soft") && !unlink("file") && !unlink("inner/moved") && !rmdir("inner"));
    say("rmdir", !chdir("/") && !rmdir(folder));
    return failures;
}
