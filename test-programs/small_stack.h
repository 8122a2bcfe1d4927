/* A stack of 16 KiB, guard page included: one that is too small ends in SIGSEGV. */
#include <pthread.h>
#include <sys/mman.h>

enum { STACK = 16384, GUARD = 4096 };

static char *small_stack(void)
{
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack, GUARD, PROT_NONE);
    return stack;
}

/* Runs WORK to its end in a thread on such a stack. Nonzero where there is no thread. */
static int on_small_stack(void *(*work)(void *))
{
    pthread_t id;
    pthread_attr_t own;
    pthread_attr_init(&own);
    if (pthread_attr_setstack(&own, small_stack(), STACK) || pthread_create(&id, &own, work, NULL))
        return 1;
    pthread_join(id, NULL);
    return 0;
}
