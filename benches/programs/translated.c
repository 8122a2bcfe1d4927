/*
 * Times calls that a rule carries out (run with the preload and EVERCALL_FORCE) against the modern system
 * calls that do the same, made here by hand.
 *
 * By hand means: the same calls in the same order as strace(1) shows under the rule, with no more work
 * around them than a C program needs. Every address of the program that the old call would have checked is
 * read or written by process_vm_readv(2) or process_vm_writev(2) on ourselves, here as there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "compare.h"

#ifndef __x86_64__
#error "the calls that are translated here are those of x86-64"
#endif

/* Numbers of the binary sysctl name space: CTL_KERN, KERN_OSTYPE. */
enum { CTL_KERN = 1, KERN_OSTYPE = 1 };

/* What _sysctl(2) is given. */
struct sysctl_arguments {
	int *name;
	int name_length;
	void *old_value;
	size_t *old_length;
	void *new_value;
	size_t new_length;
	unsigned long unused[4];
};

/* What ustat(2) fills in. */
struct ustat_answer {
	int free_blocks;
	unsigned long free_inodes;
	char name[6];
	char pack_name[6];
};

/* The device of /proc, and its field in /proc/self/mountinfo. */
static dev_t proc_device;
static char proc_field[32];

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

static int raw_open(const char *path, int flags)
{
	return raw(SYS_open, (long)path, flags | O_CLOEXEC, 0, 0, 0, 0);
}

static long raw_read(int fd, void *to, size_t length)
{
	return raw(SYS_read, fd, (long)to, length, 0, 0, 0);
}

static void raw_close(int fd)
{
	raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* One kernel-checked copy from the program (SYS_process_vm_readv) or to it (SYS_process_vm_writev). */
static long copy(long number, void *ours, const void *theirs, size_t length)
{
	struct iovec local = { ours, length };
	struct iovec remote = { (void *)theirs, length };
	long pid = raw(SYS_getpid, 0, 0, 0, 0, 0, 0);

	return raw(number, pid, (long)&local, 1, (long)&remote, 1, 0);
}

static long fetch(void *ours, const void *theirs, size_t length)
{
	return copy(SYS_process_vm_readv, ours, theirs, length);
}

static long store(void *theirs, const void *ours, size_t length)
{
	return copy(SYS_process_vm_writev, (void *)ours, theirs, length);
}

/* epoll_create */

static int epoll_create_by_hand(void *unused)
{
	int fd = raw(SYS_epoll_create1, 0, 0, 0, 0, 0, 0);

	(void)unused;
	raw_close(fd);
	return fd < 0;
}

static int epoll_create_by_rule(void *function)
{
	int (*call)(int) = function;
	int fd = call(1);

	raw_close(fd);
	return fd < 0;
}

/* _sysctl */

static int name[] = { CTL_KERN, KERN_OSTYPE };
static char value[64];
static size_t value_length;
static struct sysctl_arguments arguments = {
	.name = name, .name_length = 2, .old_value = value, .old_length = &value_length
};

/* As the kernel did: the numbers of the name one by one, the text straight into the program's buffer. */
static int sysctl_by_hand(void *unused)
{
	struct sysctl_arguments given;
	size_t room, length;
	int numbers[2], fd;
	char last, nul = '\0';

	(void)unused;
	value_length = sizeof value;
	fetch(&given, &arguments, sizeof given);
	fetch(&room, given.old_length, sizeof room);
	fetch(&numbers[0], &given.name[0], sizeof numbers[0]);
	fetch(&numbers[1], &given.name[1], sizeof numbers[1]);
	if (numbers[0] != CTL_KERN || numbers[1] != KERN_OSTYPE)
		return 1;
	fd = raw_open("/proc/sys/kernel/ostype", O_RDONLY);
	length = raw_read(fd, given.old_value, room) - 1;
	fetch(&last, (char *)given.old_value + length, sizeof last);
	if (last == '\n')
		store((char *)given.old_value + length, &nul, sizeof nul);
	raw_close(fd);
	store(given.old_length, &length, sizeof length);
	return strcmp(value, "Linux") != 0;
}

static int sysctl_by_rule(void *function)
{
	long (*call)(long, ...) = function;

	value_length = sizeof value;
	return call(SYS__sysctl, &arguments) != 0 || strcmp(value, "Linux") != 0;
}

/* ustat */

/*
 * Copies the mount point from a line of mountinfo, if the line is about the device: " major:minor " stands
 * third, the mount point fifth.
 */
static int mount_point(const char *line, const char *device, char *path, size_t room)
{
	const char *field = strstr(line, device), *end;

	if (!field || !(field = strchr(field + strlen(device), ' ')) || !(end = strchr(++field, ' ')) ||
	    (size_t)(end - field) >= room)
		return 0;
	memcpy(path, field, end - field);
	path[end - field] = '\0';
	return 1;
}

/* Opens the first mount of the device of /proc, which is not that of the root, found in /proc/self/mountinfo. */
static int open_mount(void)
{
	char text[1024 + 1], path[768];
	size_t length = 0;
	struct stat stat;
	int mount = -1, fd, root = raw_open("/", O_PATH);
	long more;

	raw(SYS_fstat, root, (long)&stat, 0, 0, 0, 0);
	raw_close(root);
	fd = raw_open("/proc/self/mountinfo", O_RDONLY);

	while (mount < 0 && (more = raw_read(fd, text + length, sizeof text - 1 - length)) > 0) {
		char *line = text, *end;

		text[length += more] = '\0';
		for (; mount < 0 && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (mount_point(line, proc_field, path, sizeof path))
				mount = raw_open(path, O_PATH | O_NOFOLLOW);
		}
		length -= line - text;
		memmove(text, line, length);
	}
	if (mount >= 0)
		raw(SYS_fstat, mount, (long)&stat, 0, 0, 0, 0);
	raw_close(fd);
	return mount;
}

static struct ustat_answer answer;

static int ustat_by_hand(void *unused)
{
	struct ustat_answer filled = { 0 };
	struct statfs statfs;
	int mount = open_mount();

	(void)unused;
	if (mount < 0)
		return 1;
	raw(SYS_fstatfs, mount, (long)&statfs, 0, 0, 0, 0);
	filled.free_blocks = statfs.f_bfree;
	filled.free_inodes = statfs.f_ffree;
	store(&answer, &filled, sizeof filled);
	raw_close(mount);
	return 0;
}

static int ustat_by_rule(void *function)
{
	int (*call)(unsigned int, void *) = function;

	return call(proc_device, &answer);
}

static const struct translation {
	const char *name;
	const char *symbol;
	int (*by_hand)(void *);
	int (*by_rule)(void *);
	int times;
} translations[] = {
	{ "epoll_create(1) and close", "epoll_create", epoll_create_by_hand, epoll_create_by_rule, 250 },
	{ "_sysctl of KERN_OSTYPE", "syscall", sysctl_by_hand, sysctl_by_rule, 100 },
	{ "ustat of /proc", "ustat", ustat_by_hand, ustat_by_rule, 50 },
};

/* One of the functions above, and the door it goes to. */
struct step {
	int (*run)(void *);
	void *door;
};

static void repeat(void *context, int times)
{
	struct step *step = context;

	for (int i = 0; i < times; i++)
		step->run(step->door);
}

/* Names that libc keeps for old programs only, as ustat, have a version but no default one. */
static void *door(const char *symbol)
{
	void *found = dlsym(RTLD_DEFAULT, symbol);

	return found ? found : dlvsym(RTLD_DEFAULT, symbol, "GLIBC_2.2.5");
}

static void time_translation(const struct translation *translation)
{
	struct step by_hand = { translation->by_hand, NULL };
	struct step by_rule = { translation->by_rule, door(translation->symbol) };

	if (!by_rule.door || by_hand.run(by_hand.door) != 0 || by_rule.run(by_rule.door) != 0)
		return;
	compare(translation->name, (struct way){ repeat, &by_hand }, (struct way){ repeat, &by_rule },
		translation->times);
}

int main(void)
{
	struct stat proc;

	if (stat("/proc", &proc) != 0) {
		perror("translated: /proc");
		return 1;
	}
	proc_device = proc.st_dev;
	snprintf(proc_field, sizeof proc_field, " %u:%u ", major(proc_device), minor(proc_device));
	for (size_t i = 0; i < sizeof translations / sizeof *translations; i++)
		time_translation(&translations[i]);
	return 0;
}
