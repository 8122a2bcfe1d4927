/* alternate_stack SIZE USED: signal stacks of SIZE bytes: what sigaltstack answers, and where handlers run that use
 * so much of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile uintptr_t seen;
static volatile int sum;

static size_t used;

static void handler(int signal)
{
    volatile char room[used];
    memset((char *)room, signal, used);
    seen = (uintptr_t)room + used - 1;
    sum += room[5];
}

/* A page that cannot be touched lies below an address. */
static int guarded(const char *stack)
{
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && end == (unsigned long)stack)
            found = !strncmp(rights, "---p", 4);
    }
    fclose(maps);
    return found;
}

static char *deliver(size_t size, const char *what)
{
    char *own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = own, .ss_size = size}, before, now;
    errno = 0;
    int result = sigaltstack(&stack, &before);
    printf("%s: sigaltstack %d errno %d, before %s\n", what, result, errno, result ? "?" : before.ss_flags & SS_DISABLE ? "none" : "one");
    if (result)
        return NULL;
    sigaltstack(NULL, &now);
    seen = 0;
    raise(SIGUSR1);
    char *low = now.ss_sp;
    int there = seen >= (uintptr_t)low && seen < (uintptr_t)low + now.ss_size;
    printf("%s: the handler %s, on %s, %s below it\n", what, there ? "ran on the stack that is read back" : "ran elsewhere",
           low == own ? "the program's own" : "another", guarded(low) ? "a guard" : "no guard");
    return low;
}

static size_t size;
static char *of_thread[2];

static void *thread(void *index)
{
    of_thread[(long)index] = deliver(size, "thread");
    return NULL;
}

int main(int argc, char **argv)
{
    size = argc > 1 ? strtoul(argv[1], NULL, 0) : 2048;
    used = argc > 2 ? strtoul(argv[2], NULL, 0) : 100;
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    char *first = deliver(size, "first");
    if (!first)
        return 1;
    char *second = deliver(size, "second");
    printf("the second is the first: %d\n", first == second);
    for (long i = 0; i < 2; i++) {
        pthread_t id;
        pthread_create(&id, NULL, thread, (void *)i);
        pthread_join(id, NULL);
    }
    printf("a thread's is not the first: %d, the next thread's is the ended one's: %d\n", of_thread[0] != first, of_thread[0] == of_thread[1]);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        // The inherited stack is in use: the child gets another.
        char *own = deliver(size, "child");
        printf("the child's is not the parent's: %d\n", own != first);
        exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    printf("child %d\n", status);
    // Where every third call is refused, not the last one.
    stack_t off = {.ss_flags = SS_DISABLE}, unused;
    sigaltstack(NULL, &unused);
    printf("off: %d\n", sigaltstack(&off, NULL));
    return 0;
}
