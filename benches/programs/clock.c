/*
 * Times time() and gettimeofday() against direct calls of the vDSO's functions. The argument says which way:
 * symbol   by the name that the program gets: libc's, or a preload's
 * fixed    at the fixed address of the vsyscall page, answered by the host's kernel; without a page no lines
 * patched  what a patched call site of an old program runs: its changed `mov` and `call`, and a page at
 *          0x7f600000 with the bytes that shims/src/arch/x86_64_signals.rs puts there. The page is made here,
 *          since no site faults, and so none is patched, on a host that has the vsyscall page.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"

enum { TIMES = 20000, TRAMPOLINES = 0x7f600000, TIME = 0x400 };

static void call_time(void *function, int times)
{
	time_t (*call)(time_t *) = function;

	for (int i = 0; i < times; i++)
		call(NULL);
}

static struct timeval now;

static void call_gettimeofday(void *function, int times)
{
	int (*call)(struct timeval *, void *) = function;

	for (int i = 0; i < times; i++)
		call(&now, NULL);
}

#define CLOBBERS "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc"

static void site_of_time(void *unused, int times)
{
	(void)unused;
	for (int i = 0; i < times; i++) {
		void *first = NULL;

		__asm__ volatile("mov $0x7f600400, %%rax\n\tcall *%%rax" : "+D"(first) : : "rax", "rsi", CLOBBERS);
	}
}

static void site_of_gettimeofday(void *unused, int times)
{
	(void)unused;
	for (int i = 0; i < times; i++) {
		void *first = &now, *second = NULL;

		__asm__ volatile("mov $0x7f600000, %%rax\n\tcall *%%rax" : "+D"(first), "+S"(second) : : "rax", CLOBBERS);
	}
}

/* As arch::trampoline: the stack aligned, the function called. */
static void put_trampoline(unsigned char *at, void *function)
{
	static const unsigned char before[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xe4, 0xf0, 0x48, 0xb8 };
	static const unsigned char after[] = { 0xff, 0xd0, 0xc9, 0xc3 };

	memcpy(at, before, sizeof before);
	memcpy(at + sizeof before, &function, sizeof function);
	memcpy(at + sizeof before + sizeof function, after, sizeof after);
}

static int page_answers(void)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		call_time((void *)0xffffffffff600400, 1);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && status == 0;
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
	void *vdso_time = vdso ? dlsym(vdso, "__vdso_time") : NULL;
	void *vdso_day = vdso ? dlsym(vdso, "__vdso_gettimeofday") : NULL;
	struct way one = { call_time, (void *)(uintptr_t)time }, day = { call_gettimeofday, (void *)(uintptr_t)gettimeofday };

	if (!vdso_time || !vdso_day) {
		fprintf(stderr, "clock: no vDSO\n");
		return 1;
	}
	if (!strcmp(way, "fixed")) {
		if (!page_answers())
			return 0;
		one.context = (void *)0xffffffffff600400;
		day.context = (void *)0xffffffffff600000;
	} else if (!strcmp(way, "patched")) {
		unsigned char *page = mmap((void *)TRAMPOLINES, 4096, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (page != (void *)TRAMPOLINES) {
			fprintf(stderr, "clock: no page at its address\n");
			return 1;
		}
		put_trampoline(page, vdso_day);
		put_trampoline(page + TIME, vdso_time);
		mprotect(page, 4096, PROT_READ | PROT_EXEC);
		one.run = site_of_time;
		day.run = site_of_gettimeofday;
	} else if (strcmp(way, "symbol")) {
		fprintf(stderr, "usage: clock symbol|fixed|patched\n");
		return 2;
	}
	compare("time()", (struct way){ call_time, vdso_time }, one, TIMES);
	compare("gettimeofday()", (struct way){ call_gettimeofday, vdso_day }, day, TIMES / 4);
	return 0;
}
