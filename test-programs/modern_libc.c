/* modern_libc: what a current libc does inside itself with calls that old hosts refuse. Prints a line each;
 * exits with the number of failures. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *thread(void *unused) { return 0; }

int main(void)
{
    pthread_t id;
    int error = pthread_create(&id, 0, thread, 0);
    printf("thread: %s\n", error ? strerror(error) : "ran");
    if (!error)
        pthread_join(id, 0);
    int unreadable = faccessat(AT_FDCWD, "/", R_OK, AT_EACCESS);
    printf("faccessat: %s\n", unreadable ? strerror(errno) : "readable");
    printf("uid: %d, effective %d\n", getuid(), geteuid());
    return !!error + !!unreadable;
}
