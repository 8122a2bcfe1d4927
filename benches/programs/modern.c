/*
 * modern polyfills|by_hand: times calls that a rule carries out for kernels without them (run with the preload and
 * EVERCALL_FORCE), against the kernel's own call, or against the older calls that strace(1) shows under the rule.
 * modern allowed ERRNO: times getppid, after clone3 was refused with that errno: EPERM by a host's filter, ENOSYS by ours,
 * EINVAL by the kernel itself.
 * modern trapped: times epoll_create(0) by bare instruction under `evercall run --trap`, against epoll_create1(-1).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "compare.h"

/* Younger than some headers. */
enum { CLONE3 = 435, STATX = 332, COPY_FILE_RANGE = 326, GETRANDOM = 318, ALL_OF_STATX = 0x7ff };

/* How much copy_file_range's rule takes at a time. */
enum { CHUNK = 65536 };

/* A system call past every door. */
static long raw(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long answer;

	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return answer;
}

typedef long caller(long number, long a, long b, long c, long d, long e, long f);

static long by_symbol(long number, long a, long b, long c, long d, long e, long f)
{
	return syscall(number, a, b, c, d, e, f);
}

/* What is called, how large it is, and by which way. */
struct job {
	caller *call;
	size_t size;
};

static char bytes[4096];
static char statx_room[256];
static int source, target;

static void fail(const char *what)
{
	fprintf(stderr, "modern: %s\n", what);
	exit(1);
}

static void getrandom_loop(void *context, int times)
{
	struct job *job = context;

	for (int i = 0; i < times; i++)
		if (job->call(GETRANDOM, (long)bytes, job->size, 0, 0, 0, 0) != (long)job->size)
			fail("getrandom");
}

static void getrandom_by_hand(void *context, int times)
{
	struct job *job = context;
	struct stat stat;

	for (int i = 0; i < times; i++) {
		int fd = raw(SYS_open, (long)"/dev/urandom", O_RDONLY | O_NOCTTY | O_CLOEXEC, 0, 0, 0, 0);

		raw(SYS_fstat, fd, (long)&stat, 0, 0, 0, 0);
		raw(SYS_read, fd, (long)bytes, job->size, 0, 0, 0);
		raw(SYS_close, fd, 0, 0, 0, 0, 0);
	}
}

static void statx_loop(void *context, int times)
{
	struct job *job = context;

	for (int i = 0; i < times; i++)
		if (job->call(STATX, AT_FDCWD, (long)"/bin/true", 0, ALL_OF_STATX, (long)statx_room, 0))
			fail("statx");
}

static void statx_by_hand(void *context, int times)
{
	struct stat stat;

	(void)context;
	for (int i = 0; i < times; i++) {
		char filled[256] = { 0 };
		struct iovec local = { filled, sizeof filled }, remote = { statx_room, sizeof statx_room };

		raw(SYS_newfstatat, AT_FDCWD, (long)"/bin/true", (long)&stat, 0, 0, 0);
		memcpy(filled, &stat, sizeof stat);
		raw(SYS_process_vm_writev, raw(SYS_getpid, 0, 0, 0, 0, 0, 0), (long)&local, 1, (long)&remote, 1, 0);
	}
}

static void rewind_both(void)
{
	raw(SYS_lseek, source, 0, SEEK_SET, 0, 0, 0);
	raw(SYS_lseek, target, 0, SEEK_SET, 0, 0, 0);
}

static void copy_loop(void *context, int times)
{
	struct job *job = context;

	for (int i = 0; i < times; i++) {
		rewind_both();
		/* A program goes on after a short copy. */
		for (size_t done = 0; done < job->size;) {
			long more = job->call(COPY_FILE_RANGE, source, 0, target, 0, job->size - done, 0);

			if (more <= 0)
				fail("copy_file_range");
			done += more;
		}
	}
}

static void copy_by_hand(void *context, int times)
{
	struct job *job = context;

	for (int i = 0; i < times; i++) {
		struct stat stat;
		struct rlimit limit;
		size_t done;
		char *room;

		rewind_both();
		for (int j = 0; j < 2; j++)
			raw(SYS_fcntl, j ? target : source, F_GETFL, 0, 0, 0, 0);
		for (int j = 0; j < 2; j++) {
			raw(SYS_lseek, j ? target : source, 0, SEEK_CUR, 0, 0, 0);
			raw(SYS_fstat, j ? target : source, (long)&stat, 0, 0, 0, 0);
		}
		raw(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0);
		room = (char *)raw(SYS_mmap, 0, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (done = 0; done < job->size; done += CHUNK) {
			size_t part = job->size - done < CHUNK ? job->size - done : CHUNK;

			raw(SYS_pread64, source, (long)room, part, done, 0, 0);
			raw(SYS_pwrite64, target, (long)room, part, done, 0, 0);
		}
		raw(SYS_munmap, (long)room, CHUNK, 0, 0, 0, 0);
		raw(SYS_lseek, source, job->size, SEEK_SET, 0, 0, 0);
		raw(SYS_lseek, target, job->size, SEEK_SET, 0, 0, 0);
	}
}

static const struct {
	const char *name;
	loop *call, *by_hand;
	size_t size;
	int times;
} polyfills[] = {
	{ "getrandom of 16 bytes", getrandom_loop, getrandom_by_hand, 16, 100 },
	{ "getrandom of 4 KiB", getrandom_loop, getrandom_by_hand, 4096, 50 },
	{ "statx of /bin/true", statx_loop, statx_by_hand, 0, 200 },
	{ "copy_file_range of 4 KiB", copy_loop, copy_by_hand, 4096, 50 },
	{ "copy_file_range of 1 MiB", copy_loop, copy_by_hand, 1 << 20, 4 },
	{ "copy_file_range of 16 MiB", copy_loop, copy_by_hand, 16 << 20, 1 },
};

/* Files in memory, both as long as the longest copy, so that no disk is in the figure. */
static int file(const char *name)
{
	static char part[1 << 20];
	int fd = raw(SYS_memfd_create, (long)name, 0, 0, 0, 0, 0);

	memset(part, 'x', sizeof part);
	for (int i = 0; i < 16; i++)
		if (write(fd, part, sizeof part) != sizeof part)
			fail("no file in memory");
	return fd;
}

static void getppid_loop(void *context, int times)
{
	(void)context;
	for (int i = 0; i < times; i++)
		raw(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

/* Both are refused with EINVAL before anything is done. */
static void refused_loop(void *context, int times)
{
	long number = *(long *)context, argument = number == SYS_epoll_create ? 0 : -1;

	for (int i = 0; i < times; i++)
		if (raw(number, argument, 0, 0, 0, 0, 0) != -EINVAL)
			fail("epoll_create is not trapped");
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";

	if (!strcmp(way, "allowed") && argc > 2) {
		long expected = !strcmp(argv[2], "ENOSYS") ? ENOSYS : !strcmp(argv[2], "EPERM") ? EPERM : EINVAL;

		if (raw(CLONE3, 0, 0, 0, 0, 0, 0) != -expected)
			fail("clone3 is refused with another errno");
		compare("getppid by bare instruction", (struct way){ getppid_loop, NULL },
			(struct way){ getppid_loop, NULL }, 1000);
		return 0;
	}
	if (!strcmp(way, "trapped")) {
		static long native = SYS_epoll_create1, trapped = SYS_epoll_create;

		compare("epoll_create(0), refused", (struct way){ refused_loop, &native },
			(struct way){ refused_loop, &trapped }, 200);
		return 0;
	}
	if (strcmp(way, "polyfills") && strcmp(way, "by_hand"))
		return 2;
	source = file("source");
	target = file("target");
	for (size_t i = 0; i < sizeof polyfills / sizeof *polyfills; i++) {
		struct job native = { raw, polyfills[i].size }, by_rule = { by_symbol, polyfills[i].size };
		loop *reference = strcmp(way, "by_hand") ? polyfills[i].call : polyfills[i].by_hand;

		compare(polyfills[i].name, (struct way){ reference, &native },
			(struct way){ polyfills[i].call, &by_rule }, polyfills[i].times);
	}
	return 0;
}
