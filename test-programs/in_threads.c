/* in_threads THREADS ROUNDS: translated calls in many threads at once, in every round by all of them together.
 * Prints the wrong answers. */
#include "translate.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_barrier_t together;
static long rounds;

static void *thread(void *wrong)
{
    for (long i = 0; i < rounds; i++) {
        pthread_barrier_wait(&together);
        *(unsigned *)wrong |= translate();
    }
    return 0;
}

int main(int argc, char **argv)
{
    int count = atoi(argv[1]);
    rounds = atol(argv[2]);
    pthread_t threads[count];
    unsigned wrong[count], any = 0;
    pthread_barrier_init(&together, 0, count);
    for (int i = 0; i < count; i++) {
        wrong[i] = 0;
        if (pthread_create(&threads[i], 0, thread, &wrong[i]))
            return 1;
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], 0);
        any |= wrong[i];
    }
    printf("wrong %x\n", any);
    return 0;
}
