/* fork_in_threads CHILDREN: forks while eight threads make translated calls; each child makes them too.
 * Prints the wrong answers, and the children that did not end as they should. */
#include "translate.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static volatile int done;

static void *thread(void *wrong)
{
    while (!done)
        *(unsigned *)wrong |= translate();
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t threads[8];
    unsigned wrong[8] = {0}, any = 0;
    int bad = 0;
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], 0, thread, &wrong[i]);
    for (int i = 0; i < atoi(argv[1]); i++) {
        int status;
        pid_t child = fork();
        if (!child)
            _exit(translate() != 0);
        bad += waitpid(child, &status, 0) != child || status != 0;
    }
    done = 1;
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], 0);
        any |= wrong[i];
    }
    printf("wrong %x, bad children %d\n", any, bad);
    return 0;
}
