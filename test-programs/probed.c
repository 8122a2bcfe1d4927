/* probed [nobody]: what `evercall probe` says of this kernel, summed up, as root or as nobody: how many calls answer
 * otherwise than is due. For the kernel matrix, where there is no shell. */
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[1 << 20];

static int count(const char *class)
{
    char field[64];
    snprintf(field, sizeof field, "\"class\": \"%s\"", class);
    int times = 0;
    for (const char *at = text; (at = strstr(at, field)); at++)
        times++;
    return times;
}

int main(int argc, char **argv)
{
    int ends[2];
    if (pipe(ends) != 0)
        return 1;
    if (fork() == 0) {
        dup2(ends[1], 1);
        if (argc > 1 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
            _exit(1);
        execl("/evercall/evercall", "evercall", "probe", "--format", "json", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t size = 0;
    ssize_t got;
    while ((got = read(ends[0], text + size, sizeof text - 1 - size)) > 0)
        size += got;
    int status = 0;
    wait(&status);
    static const char *const wrong[] = {"odd", "refused", "killed", "trapped", "no_answer"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        printf("%s %d, ", wrong[i], count(wrong[i]));
    printf("%s, exit %d\n", count("answers") > 300 ? "many answer" : "few answer", WEXITSTATUS(status));
    return 0;
}
