/* clock_values [bad NAME]: the exported time functions by each of their names, against the system calls, and
 * prints `right`, or what is wrong. With a name it is given a bad pointer, which may kill. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

extern int __gettimeofday(struct timeval *, void *) __attribute__((weak));
extern int getcpu(unsigned *, unsigned *);
static int wrong;
#define CHECK(c) do { if (!(c)) { printf("wrong: %s\n", #c); wrong = 1; } } while (0)

static long long microseconds(struct timeval tv) { return tv.tv_sec * 1000000LL + tv.tv_usec; }

static void day(int (*get)(struct timeval *, void *))
{
	struct timeval before, got = {0, 0}, after;
	struct timezone zone = {77, 77}, kernel_zone = {88, 88};
	syscall(SYS_gettimeofday, &before, &kernel_zone);
	CHECK(get(&got, &zone) == 0);
	syscall(SYS_gettimeofday, &after, NULL);
	CHECK(microseconds(before) <= microseconds(got) && microseconds(got) <= microseconds(after));
	CHECK(zone.tz_minuteswest == kernel_zone.tz_minuteswest && zone.tz_dsttime == kernel_zone.tz_dsttime);
	CHECK(get(NULL, NULL) == 0);
	CHECK(get(NULL, &zone) == 0);
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		struct rlimit no_core = {0, 0};
		void *volatile bad = (void *)8;
		setrlimit(RLIMIT_CORE, &no_core);
		printf("asking %s\n", argv[2]);
		fflush(stdout);
		long result = !strcmp(argv[2], "time") ? time(bad) : !strcmp(argv[2], "gettimeofday") ? gettimeofday(bad, NULL)
			: !strcmp(argv[2], "timezone") ? gettimeofday(NULL, bad) : getcpu(bad, NULL);
		printf("%ld %m\n", result);
		return 0;
	}
	for (int i = 0; i < 1000; i++) {
		time_t stored = 0, before = syscall(SYS_time, NULL), got = time(&stored), after = syscall(SYS_time, NULL);
		CHECK(before <= got && got <= after && stored == got);
		CHECK(time(NULL) >= got);
		day((int (*)(struct timeval *, void *))gettimeofday);
		if (__gettimeofday)
			day(__gettimeofday);
	}
	int cpus = 0;
	cpu_set_t all, one;
	sched_getaffinity(0, sizeof all, &all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		unsigned got = -1, node = -1, kernel_node = -2;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
		CHECK(sched_getcpu() == cpu);
		CHECK(getcpu(&got, &node) == 0 && got == (unsigned)cpu);
		syscall(SYS_getcpu, NULL, &kernel_node, NULL);
		CHECK(node == kernel_node);
		CHECK(getcpu(NULL, NULL) == 0);
		cpus++;
	}
	CHECK(cpus > 0);
	printf("%s, %s\n", wrong ? "wrong" : "right", getauxval(AT_SYSINFO_EHDR) ? "with a vDSO" : "without a vDSO");
	return wrong;
}
