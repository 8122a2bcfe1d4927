/* insert_module FILE NAME: takes a kernel module out, and puts it in twice by finit_module(2): what came of each, and
 * of descriptors that hold none. Needs the right to, and a kernel that is nobody else's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void insert(const char *what, int fd)
{
    long result = syscall(SYS_finit_module, fd, "", 0);
    printf("%s: %s\n", what, result ? strerrorname_np(errno) : "inserted");
}

int main(int argc, char **argv)
{
    int fd = argc > 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || syscall(SYS_delete_module, argv[2], O_NONBLOCK)) {
        perror("insert_module");
        return 1;
    }
    insert("the module", fd);
    insert("again", fd);
    insert("no descriptor", -1);
    insert("a folder", open("/", O_RDONLY | O_CLOEXEC));
    insert("a device", open("/dev/null", O_RDONLY | O_CLOEXEC));
    insert("an empty file", open("/proc/version", O_RDONLY | O_CLOEXEC));
    insert("no module", open("/init", O_RDONLY | O_CLOEXEC));
    insert("only to write", open("/dev/null", O_WRONLY | O_CLOEXEC));
    return 0;
}
