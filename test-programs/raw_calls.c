/* raw_calls NUMBER[,ARGUMENT...]...: makes each system call by its number, with up to six numbers as arguments,
 * and prints what it answers: "NUMBER: = RESULT" or the errno's name. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void trapped(int signal)
{
    (void)signal;
    static const char text[] = "SIGSYS\n";
    if (write(1, text, sizeof text - 1) < 0)
        _exit(2);
    _exit(0);
}

int main(int argc, char **argv)
{
    signal(SIGSYS, trapped);
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 1; i < argc; i++) {
        unsigned long values[7] = {0};
        int count = 0;
        for (char *word = strtok(argv[i], ","); word && count < 7; word = strtok(NULL, ","))
            values[count++] = strtoul(word, NULL, 0);
        printf("%lu: ", values[0]);
        long result = syscall(values[0], values[1], values[2], values[3], values[4], values[5], values[6]);
        const char *name = result == -1 ? strerrorname_np(errno) : NULL;
        if (result != -1)
            printf("= %ld\n", result);
        else
            printf("%s\n", name ? name : strerror(errno));
    }
    return 0;
}
