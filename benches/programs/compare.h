/* Times two ways of doing the same thing in one process, in turn, so that the machine's noise meets both. */
#ifndef COMPARE_H
#define COMPARE_H

#include <stdio.h>
#include <time.h>

/* Batches of each way in one run of a program; the runner starts the program many times. */
enum { BATCHES = 8 };

/* Does the thing so many times. The context is the way to do it. */
typedef void loop(void *context, int times);

/* One way: what to run, and what to run it with. */
struct way {
	loop *run;
	void *context;
};

static double nanoseconds_each(struct way way, int times)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	way.run(way.context, times);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / times;
}

/* Prints a line for each batch: the name, then the nanoseconds of the reference and of the measured way. */
static void compare(const char *name, struct way reference, struct way measured, int times)
{
	/* The first calls find the next definition, fill caches, and are not counted. */
	nanoseconds_each(reference, times / 10 + 1);
	nanoseconds_each(measured, times / 10 + 1);
	for (int batch = 0; batch < BATCHES; batch++) {
		double a, b;

		/* The order changes, so that neither way is always the one after the other. */
		if (batch % 2 == 0) {
			a = nanoseconds_each(reference, times);
			b = nanoseconds_each(measured, times);
		} else {
			b = nanoseconds_each(measured, times);
			a = nanoseconds_each(reference, times);
		}
		printf("%s\t%.2f\t%.2f\n", name, a, b);
	}
}

#endif
