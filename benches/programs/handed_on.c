/*
 * Times calls that no rule acts on, by two pointers to the same function: the one that a program gets for
 * the name (a preload's, if there is one) and libc's own. Bare, both are the same: the noise of the method.
 * Under a preload, a name that it does not export is left out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compare.h"

/* A device number that no mount has. */
enum { NO_DEVICE = 0xfffff };

/* Room for a struct ustat, which newer libcs do not declare. */
static char ustat_room[64];

static void syscall_getppid(void *function, int times)
{
	long (*call)(long, ...) = function;

	for (int i = 0; i < times; i++)
		call(SYS_getppid);
}

/* Size 0 is refused at once with EINVAL: the call with next to nothing behind it. */
static void epoll_create_refused(void *function, int times)
{
	int (*call)(int) = function;

	for (int i = 0; i < times; i++)
		call(0);
}

static void epoll_create_close(void *function, int times)
{
	int (*call)(int) = function;

	for (int i = 0; i < times; i++)
		close(call(1));
}

static void ustat_no_device(void *function, int times)
{
	int (*call)(unsigned int, void *) = function;

	for (int i = 0; i < times; i++)
		call(NO_DEVICE, ustat_room);
}

/* Paths that no file rule is about. */
static void open_absolute(void *function, int times)
{
	int (*call)(const char *, int, ...) = function;

	for (int i = 0; i < times; i++)
		close(call("/usr/bin/env", O_RDONLY));
}

static void open_relative(void *function, int times)
{
	int (*call)(const char *, int, ...) = function;

	for (int i = 0; i < times; i++)
		close(call("../../usr/bin/env", O_RDONLY));
}

static void access_absolute(void *function, int times)
{
	int (*call)(const char *, int) = function;

	for (int i = 0; i < times; i++)
		call("/usr/bin/env", R_OK);
}

static void stat_absolute(void *function, int times)
{
	int (*call)(const char *, struct stat *) = function;
	struct stat file;

	for (int i = 0; i < times; i++)
		call("/usr/bin/env", &file);
}

static void stat_relative(void *function, int times)
{
	int (*call)(const char *, struct stat *) = function;
	struct stat file;

	for (int i = 0; i < times; i++)
		call("../../usr/bin/env", &file);
}

static void stat_missing(void *function, int times)
{
	int (*call)(const char *, struct stat *) = function;
	struct stat file;

	for (int i = 0; i < times; i++)
		call("/usr/bin/nothing", &file);
}

/* In the tree of the rules, but none of theirs. */
static void stat_proc(void *function, int times)
{
	int (*call)(const char *, struct stat *) = function;
	struct stat file;

	for (int i = 0; i < times; i++)
		call("/proc/self/maps", &file);
}

static const struct {
	const char *name;
	const char *symbol;
	loop *run;
	int times;
} calls[] = {
	{ "syscall(SYS_getppid)", "syscall", syscall_getppid, 1000 },
	{ "epoll_create(0), refused", "epoll_create", epoll_create_refused, 1000 },
	{ "ustat of no device", "ustat", ustat_no_device, 1000 },
	{ "open of a path without a rule", "open", open_absolute, 250 },
	{ "open of a relative path", "open", open_relative, 250 },
	{ "access of a path without a rule", "access", access_absolute, 500 },
	{ "stat of a path without a rule", "stat", stat_absolute, 500 },
	{ "stat of a relative path", "stat", stat_relative, 500 },
	{ "stat of a missing path", "stat", stat_missing, 500 },
	{ "stat under /proc, no rule", "stat", stat_proc, 500 },
	{ "epoll_create(1) and close", "epoll_create", epoll_create_close, 250 },
};

/* Names that libc keeps for old programs only, as ustat, have a version but no default one. */
static void *find(void *where, const char *symbol)
{
	void *found = dlsym(where, symbol);

	return found ? found : dlvsym(where, symbol, "GLIBC_2.2.5");
}

int main(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	int preloaded = getenv("LD_PRELOAD") != NULL;

	/* Where the relative path leads on. */
	if (chdir("/usr/bin"))
		return 1;
	if (!libc) {
		fprintf(stderr, "handed_on: %s\n", dlerror());
		return 1;
	}
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		void *own = find(libc, calls[i].symbol);
		void *seen = find(RTLD_DEFAULT, calls[i].symbol);

		if (!own || !seen || (preloaded && seen == own))
			continue;
		compare(calls[i].name, (struct way){ calls[i].run, own }, (struct way){ calls[i].run, seen },
			calls[i].times);
	}
	return 0;
}
