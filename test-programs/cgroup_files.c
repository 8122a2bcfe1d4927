/*
 * Files of cgroup v1 by every call that takes a path: a line each, with what came of it. The same on a host with v1
 * and on one with v2 under evercall: tests/cgroup_view.rs compares the lines.
 *
 * usage: cgroup_files [own_filter]: the latter opens one after it has installed a seccomp filter that allows all.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* musl has no statx until 1.2.5. */
#ifndef STATX_BASIC_STATS
#include <linux/stat.h>
#define statx(...) (int)syscall(SYS_statx, __VA_ARGS__)
#endif

#define MEMORY "/sys/fs/cgroup/memory"
#define FILE_ MEMORY "/memory.limit_in_bytes"

static void line(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerror(errno));
	else
		printf("%s: right\n", what);
	errno = 0;
}

/* What can be read of a descriptor, which is closed. */
static void text(const char *what, int fd)
{
	char bytes[64];
	ssize_t size;

	if (fd < 0) {
		line(what, fd);
		return;
	}
	size = read(fd, bytes, sizeof bytes - 1);
	bytes[size < 0 ? 0 : size] = 0;
	bytes[strcspn(bytes, "\n")] = 0;
	printf("%s: \"%s\", errno %d\n", what, bytes, errno);
	close(fd);
	errno = 0;
}

static void kind(const char *what, long result, const struct stat *file)
{
	mode_t mode = file->st_mode;

	if (result < 0) {
		line(what, result);
		return;
	}
	printf("%s: %s, readable %d\n", what, S_ISDIR(mode) ? "folder" : S_ISREG(mode) ? "file" : "other", !!(mode & S_IRUSR));
	errno = 0;
}

static mode_t mode_of(const struct stat *file)
{
	return file->st_mode;
}

static void open_all(void)
{
	int folder, file;
	/* Not known to the compiler. */
	const char *volatile none = NULL;
	struct { long long flags, mode, resolve; } how = { O_RDONLY, 0, 0 };

	text("open", open(FILE_, O_RDONLY));
	text("open64", open64(FILE_, O_RDONLY | O_CLOEXEC));
	text("openat", openat(AT_FDCWD, FILE_, O_RDONLY));
	text("openat of the root", openat(folder = open("/", O_PATH), "sys/fs/cgroup//memory/./memory.limit_in_bytes", O_RDONLY));
	close(folder);
	text("syscall open", syscall(SYS_open, FILE_, O_RDONLY));
	text("syscall openat", syscall(SYS_openat, AT_FDCWD, FILE_, O_RDONLY));
	text("syscall openat2", syscall(SYS_openat2, AT_FDCWD, FILE_, &how, sizeof how));
	text("dots", open("//sys/../sys/fs/cgroup/./memory/../memory//memory.limit_in_bytes", O_RDONLY));
	text("O_NOFOLLOW", open(FILE_, O_RDONLY | O_NOFOLLOW));
	line("O_DIRECTORY", open(FILE_, O_RDONLY | O_DIRECTORY));
	line("O_CREAT | O_EXCL", open(FILE_, O_RDONLY | O_CREAT | O_EXCL, 0644));
	line("a slash behind", open(FILE_ "/", O_RDONLY));
	line("none of ours", open(MEMORY "/nothing", O_RDONLY));
	line("below a folder that is none", open("/sys/fs/cgroup/nothing/../memory/tasks", O_RDONLY));
	line("a folder to be written", open(MEMORY, O_WRONLY));
	line("NULL", open(none, O_RDONLY));
	line("bad address", open((char *)-1, O_RDONLY));

	file = open(FILE_, O_RDONLY | O_CLOEXEC);
	printf("O_CLOEXEC: %d\n", fcntl(file, F_GETFD));
	close(file);
	file = open(FILE_, O_RDONLY);
	printf("no O_CLOEXEC: %d, access mode %d\n", fcntl(file, F_GETFD), fcntl(file, F_GETFL) & O_ACCMODE);
	line("write to it", write(file, "x", 1));
	line("read", read(file, (char[8]){ 0 }, 4));
	printf("at %ld\n", (long)lseek(file, 0, SEEK_CUR));
	lseek(file, 0, SEEK_SET);
	text("dup after a seek", dup(file));
	printf("its offset is shared: %d\n", lseek(file, 0, SEEK_CUR) > 4);
	close(file);
	printf("the lowest number: %d\n", open(FILE_, O_RDONLY) == file);
	close(file);

	folder = open(MEMORY, O_RDONLY | O_DIRECTORY);
	text("openat of the folder", openat(folder, "memory.limit_in_bytes", O_RDONLY));
	text("openat of it, what v2 lacks", openat(folder, "memory.use_hierarchy", O_RDONLY));
	/* What v2 has by the same name. */
	char word[6] = "";
	file = openat(folder, "memory.stat", O_RDONLY);
	line("openat of it, what v2 has too", read(file, word, 5));
	printf("it begins with %s\n", word);
	close(file);
	line("openat of it, none", openat(folder, "nothing", O_RDONLY));
	struct stat stat;
	kind("fstat of the folder", fstat(folder, &stat), &stat);
	kind("fstatat of it", fstatat(folder, "tasks", &stat, AT_SYMLINK_NOFOLLOW), &stat);
	printf("mode %o\n", fstatat(folder, "memory.stat", &stat, 0) ? 0 : mode_of(&stat));
	printf("mode %o\n", syscall(SYS_newfstatat, folder, "memory.stat", &stat, 0) ? 0 : mode_of(&stat));
	struct statx more;
	printf("mode %o\n", statx(folder, "memory.stat", 0, STATX_MODE, &more) ? 0 : *(volatile unsigned short *)&more.stx_mode);
	line("faccessat of it", faccessat(folder, "tasks", R_OK, 0));
	close(folder);
}

static void look_all(void)
{
	struct stat stat_;
	struct statx more;
	struct statfs system;
	struct statvfs other;
	char bytes[64];

	kind("stat", stat(FILE_, &stat_), &stat_);
	kind("stat of the folder", stat(MEMORY, &stat_), &stat_);
	kind("stat of it with a slash", stat(MEMORY "/", &stat_), &stat_);
	kind("lstat", lstat(FILE_, &stat_), &stat_);
	kind("fstatat", fstatat(AT_FDCWD, FILE_, &stat_, 0), &stat_);
	line("statx", statx(AT_FDCWD, FILE_, 0, STATX_BASIC_STATS, &more));
	printf("statx mode %o\n", more.stx_mode & (S_IFMT | S_IRUSR));
	kind("syscall stat", syscall(SYS_stat, FILE_, &stat_), &stat_);
	kind("syscall newfstatat", syscall(SYS_newfstatat, AT_FDCWD, FILE_, &stat_, 0), &stat_);
	/* No path, but a descriptor: since 6.11. */
	const char *volatile none = NULL;
	line("statx of NULL", statx(open("/", O_PATH), none, AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
#ifdef __GLIBC__ /* musl looks at the path itself */
	line("fstatat of NULL", fstatat(open("/", O_PATH), none, &stat_, AT_EMPTY_PATH));
#endif
	line("syscall statx of NULL", syscall(SYS_statx, open("/", O_PATH), none, AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
	line("syscall statx", syscall(SYS_statx, AT_FDCWD, FILE_, 0, STATX_BASIC_STATS, &more));
#ifdef __GLIBC__ /* and writes to the struct */
	line("stat to a bad address", stat(FILE_, (struct stat *)-1));
#endif
	line("access", access(FILE_, R_OK));
	line("access to be executed", access(FILE_, X_OK));
	line("access of the folder", access(MEMORY, R_OK | X_OK));
	line("access of none", access(MEMORY "/nothing", F_OK));
	line("faccessat", faccessat(AT_FDCWD, FILE_, R_OK, AT_EACCESS));
	line("euidaccess", euidaccess(FILE_, R_OK));
	line("syscall access", syscall(SYS_access, FILE_, R_OK));
	line("syscall faccessat", syscall(SYS_faccessat, AT_FDCWD, FILE_, R_OK));
	line("readlink", readlink(FILE_, bytes, sizeof bytes));
	line("readlinkat", readlinkat(AT_FDCWD, MEMORY, bytes, sizeof bytes));
	line("syscall readlink", syscall(SYS_readlink, FILE_, bytes, sizeof bytes));
	line("getxattr", getxattr(FILE_, "user.x", bytes, sizeof bytes));
	line("statfs", statfs(FILE_, &system));
	printf("statfs type %lx\n", (long)system.f_type);
	line("statfs of the folder", statfs(MEMORY, &system));
	printf("statfs type %lx\n", (long)system.f_type);
	line("statvfs", statvfs(FILE_, &other));
}

static void stream_all(void)
{
	char bytes[64];
	FILE *file = fopen(FILE_, "r");

	printf("fopen: %s", file ? fgets(bytes, sizeof bytes, file) : "none\n");
	rewind(file);
	printf("again: %s", fgets(bytes, sizeof bytes, file));
	file = freopen(MEMORY "/memory.use_hierarchy", "re", file);
	printf("freopen: %s", file ? fgets(bytes, sizeof bytes, file) : "none\n");
	printf("freopen with e: %d\n", fcntl(fileno(file), F_GETFD));
	fclose(file);
	printf("errno after all: %d\n", errno);
	line("fopen of none", fopen(MEMORY "/nothing", "r") ? 0 : -1);
	line("fopen of NULL", fopen(NULL, "r") ? 0 : -1);
	errno = 0;
	file = freopen(MEMORY "/nothing", "r", fopen("/dev/null", "r"));
	line("freopen of none", file ? 0 : -1);
}

static void list_all(void)
{
	DIR *folder = opendir(MEMORY);
	struct dirent *entry;
	int limit = 0, dots = 0, files = 0;
	long place = 0;

	if (!folder) {
		line("opendir", -1);
		return;
	}
	while ((entry = readdir(folder))) {
		if (!strcmp(entry->d_name, "memory.limit_in_bytes")) {
			limit = entry->d_type == DT_REG && entry->d_ino != 0;
			place = telldir(folder);
		}
		dots += entry->d_name[0] == '.' && entry->d_type == DT_DIR;
		files += entry->d_type == DT_REG;
	}
	printf("readdir: limit %d, dots %d, several %d, errno %d\n", limit, dots, files > 5, errno);
	seekdir(folder, place);
	entry = readdir(folder);
	printf("seekdir: %d\n", entry && strcmp(entry->d_name, "memory.limit_in_bytes"));
	rewinddir(folder);
	struct dirent64 *wide;
	for (limit = 0; (wide = readdir64(folder));)
		limit += !strcmp(wide->d_name, "memory.limit_in_bytes");
	printf("rewinddir: %d\n", limit);
	struct stat stat;
	kind("dirfd", fstat(dirfd(folder), &stat), &stat);
	text("openat of dirfd", openat(dirfd(folder), "memory.limit_in_bytes", O_RDONLY));
	line("closedir", closedir(folder));

	folder = fdopendir(dup(open(MEMORY, O_RDONLY | O_DIRECTORY)));
	struct dirent room, *result;
	for (limit = 0; folder && !readdir_r(folder, &room, &result) && result;)
		limit += !strcmp(room.d_name, "memory.limit_in_bytes");
	printf("fdopendir, readdir_r: %d\n", limit);
	line("closedir", folder ? closedir(folder) : -1);
	line("opendir of a file", opendir(FILE_) ? 0 : -1);
	line("opendir of none", opendir(MEMORY "/nothing") ? 0 : -1);
	for (int i = 0; i < 40; i++) {
		folder = opendir("/sys/fs/cgroup/pids");
		if (!folder || closedir(folder))
			line("one of forty", -1);
	}
}

static void in_signal(int number)
{
	text("open in a signal handler", open(FILE_, O_RDONLY));
}

static void elsewhere(void)
{
	int file = open(FILE_, O_RDONLY);
	char *words[] = { "cat", NULL };
	pid_t child;

	fflush(stdout);
	signal(SIGUSR1, in_signal);
	raise(SIGUSR1);
	fflush(stdout);
	child = vfork();
	if (child == 0) {
		/* Not stdio: its buffer is the parent's. */
		int in_child = open(FILE_, O_RDONLY);
		char bytes[64];
		ssize_t size = read(in_child, bytes, sizeof bytes);

		_exit(size > 0 && write(1, "in vfork: ", 10) == 10 && write(1, bytes, size) == size ? 0 : 1);
	}
	waitpid(child, NULL, 0);
	/* Inherited by what is executed. */
	child = fork();
	if (child == 0) {
		dup2(file, 0);
		unsetenv("LD_PRELOAD");
		execv("/bin/cat", words);
		_exit(127);
	}
	waitpid(child, NULL, 0);
	close(file);
}

static void filtered(void)
{
	struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog filter = { 1, all };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	line("own filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
	text("open", open(FILE_, O_RDONLY));
	text("syscall open", syscall(SYS_open, FILE_, O_RDONLY));
	line("fopen", fopen(FILE_, "r") ? 0 : -1);
}

int main(int count, char **words)
{
	if (count > 1) {
		text("open before", open(FILE_, O_RDONLY));
		filtered();
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_all();
	look_all();
	stream_all();
	list_all();
	elsewhere();
	return 0;
}
