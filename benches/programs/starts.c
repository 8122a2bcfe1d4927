/*
 * starts TIMES PROGRAM [ARGUMENTS]: starts a program so many times, one after the other, and prints the nanoseconds
 * of one from before its start to its end. Whatever this process is under, a filter or a preload, its children inherit.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* vfork(2), since posix_spawn(3) of newer libcs fails under a filter that answers EPERM to clone3. */
static int run(char **arguments)
{
	int status;
	pid_t pid = vfork();

	if (!pid) {
		execve(arguments[0], arguments, environ);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

int main(int argc, char **argv)
{
	struct timespec from, to;
	int times = argc > 2 ? atoi(argv[1]) : 0;

	/* The first one warms the caches. */
	if (times < 1 || run(argv + 2))
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < times; i++)
		if (run(argv + 2))
			return 1;
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.1f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / times);
	return 0;
}
