/* modern_attributes syscall|symbol: the xattrat calls (6.13), file_getattr and file_setattr (6.17), a line a check:
 * `CALL what was done: what came of it`. No libc has symbols of them yet. */
#include "modern_files.h"

struct xattr_args { uint64_t value; uint32_t size, flags; };

static long set(int fd, const void *path, int at, const void *name, const void *value, unsigned size, unsigned flags)
{
    struct xattr_args args = {A(value), size, flags};
    return call(SETXATTRAT, NULL, fd, A(path), at, A(name), A(&args), sizeof args);
}

static void get_of(const char *what, int fd, const void *path, int at, const void *name, unsigned size)
{
    char value[16] = "";
    struct xattr_args args = {A(value), size, 0};
    long result = call(GETXATTRAT, NULL, fd, A(path), at, A(name), A(&args), sizeof args);
    line("getxattrat %s: %s %s", what, outcome(result), value);
}

static void list_of(const char *what, int fd, const void *path, int at, unsigned size)
{
    char list[64] = "";
    long result = call(LISTXATTRAT, NULL, fd, A(path), at, A(list), size, 0);
    line("listxattrat %s: %s %s", what, outcome(result), list);
}

static void xattr_lines(void)
{
    int folder = open("folder", O_RDONLY | O_DIRECTORY), file = open("file", O_RDWR), path = open("file", O_PATH), link = open("link", O_PATH | O_NOFOLLOW);
    char big[40] = "";
    struct xattr_args args = {A("v"), 1, 0}, odd = {A(big), 8, 1};
    line("setxattrat of a file: %s", outcome(set(AT_FDCWD, "file", 0, "user.one", "1", 1, 0)));
    line("setxattrat create again: %s", outcome(set(AT_FDCWD, "file", 0, "user.one", "1", 1, 1)));
    line("setxattrat replace: %s", outcome(set(AT_FDCWD, "link", 0, "user.one", "first", 5, 2)));
    line("setxattrat replace nothing: %s", outcome(set(AT_FDCWD, "file", 0, "user.two", "1", 1, 2)));
    line("setxattrat of a link: %s", outcome(set(AT_FDCWD, "link", NOFOLLOW, "user.one", "1", 1, 0)));
    line("setxattrat below a folder: %s", outcome(set(folder, "below", 0, "user.one", "below", 5, 0)));
    line("setxattrat below a folder, no following: %s", outcome(set(folder, "below", NOFOLLOW, "user.two", "2", 1, 0)));
    line("setxattrat of a link below a folder: %s", outcome(set(folder, "out", NOFOLLOW, "user.one", "1", 1, 0)));
    line("setxattrat through a link below a folder: %s", outcome(set(folder, "out", 0, "user.three", "out", 3, 0)));
    line("setxattrat of a descriptor: %s", outcome(set(file, "", EMPTY, "user.four", "", 0, 0)));
    line("setxattrat of a descriptor and NULL: %s", outcome(set(file, NULL, EMPTY, "user.four", "4", 1, 0)));
    line("setxattrat of an O_PATH descriptor: %s", outcome(set(path, "", EMPTY, "user.five", "5", 1, 0)));
    line("setxattrat of the working folder: %s", outcome(set(AT_FDCWD, "", EMPTY, "user.one", "1", 1, 0)));
    line("setxattrat of closed descriptors: %s %s %s", outcome(set(CLOSED, "", EMPTY, "user.one", "1", 1, 0)), outcome(set(CLOSED, "x", 0, "user.one", "1", 1, 0)), outcome(set(-5, "", EMPTY, "user.one", "1", 1, 0)));
    line("setxattrat absolute, closed descriptor: %s", outcome(set(CLOSED, "/nothing", 0, "user.one", "1", 1, 0)));
    line("setxattrat bad pointers: %s %s %s", outcome(set(AT_FDCWD, BAD, 0, "user.one", "1", 1, 0)), outcome(set(AT_FDCWD, "file", 0, BAD, "1", 1, 0)), outcome(set(AT_FDCWD, "file", 0, "user.one", BAD, 1, 0)));
    line("setxattrat bad pointers below: %s %s %s", outcome(set(folder, BAD, 0, "user.one", "1", 1, 0)), outcome(set(folder, "below", 0, BAD, "1", 1, 0)), outcome(set(folder, "below", 0, "user.one", BAD, 1, 0)));
    line("setxattrat names: %s %s %s %s", outcome(set(AT_FDCWD, "file", 0, "", "1", 1, 0)), outcome(set(AT_FDCWD, "file", 0, long_name, "1", 1, 0)), outcome(set(folder, "nothing", 0, "", "1", 1, 0)), outcome(set(AT_FDCWD, "file", 0, "odd.name", "1", 1, 0)));
    line("setxattrat flags: %s %s", outcome(set(AT_FDCWD, BAD, 0, BAD, BAD, 1, 4)), outcome(set(AT_FDCWD, BAD, 0x200, BAD, BAD, 1, 0)));
    line("setxattrat too big: %s", outcome(set(folder, "nothing", 0, "user.one", BAD, 65537, 0)));
    line("setxattrat sizes: %s %s %s %s %s", outcome(call(SETXATTRAT, NULL, AT_FDCWD, A("file"), 0, A("user.one"), A(&args), 15)),
         outcome(call(SETXATTRAT, NULL, AT_FDCWD, A("file"), 0, A("user.one"), A(&args), 0)), outcome(call(SETXATTRAT, NULL, AT_FDCWD, A(BAD), 0, A("user.one"), A(BAD), 16)),
         outcome(call(SETXATTRAT, NULL, AT_FDCWD, A("file"), 0, A("user.one"), A(BAD), 4097)), outcome(call(SETXATTRAT, NULL, AT_FDCWD, A("file"), 0, A("user.one"), A(BAD), 4096)));
    struct { struct xattr_args args; uint64_t more[2]; } longer = {{A("first"), 5, 0}, {0, 0}};
    line("setxattrat longer struct: %s", outcome(call(SETXATTRAT, NULL, AT_FDCWD, A("file"), 0, A("user.one"), A(&longer), sizeof longer)));
    longer.more[1] = 1ULL << 63;
    line("setxattrat longer struct, not zero: %s", outcome(call(SETXATTRAT, NULL, AT_FDCWD, A("file"), 0, A("user.one"), A(&longer), sizeof longer)));
    get_of("of a file", AT_FDCWD, "file", 0, "user.one", 16);
    get_of("size only", AT_FDCWD, "file", 0, "user.one", 0);
    get_of("too small", AT_FDCWD, "file", 0, "user.one", 4);
    get_of("below a folder", folder, "below", 0, "user.one", 16);
    get_of("below a folder, too small", folder, "below", 0, "user.one", 2);
    get_of("through a link below a folder", folder, "out", 0, "user.three", 16);
    get_of("of a link below a folder", folder, "out", NOFOLLOW, "user.three", 16);
    get_of("of nothing below a folder", folder, "nothing", 0, "user.three", 16);
    get_of("of a descriptor", file, "", EMPTY, "user.four", 16);
    get_of("of the working folder", AT_FDCWD, "", EMPTY, "user.one", 16);
    get_of("of an O_PATH link", link, "", EMPTY, "user.four", 16);
    get_of("of no such attribute", folder, "below", 0, "user.none", 16);
    get_of("of a bad path", AT_FDCWD, BAD, 0, "user.one", 16);
    get_of("of a bad name", folder, "nothing", 0, BAD, 16);
    get_of("unknown flag", folder, BAD, 1, BAD, 16);
    line("getxattrat bad value: %s", outcome(call(GETXATTRAT, NULL, folder, A("below"), 0, A("user.one"), A((&(struct xattr_args){A(BAD), 16, 0})), 16)));
    line("getxattrat flags in the struct: %s", outcome(call(GETXATTRAT, NULL, AT_FDCWD, A(BAD), 0, A(BAD), A(&odd), 16)));
    line("getxattrat sizes: %s %s", outcome(call(GETXATTRAT, NULL, AT_FDCWD, A("file"), -1, A("user.one"), A(BAD), 15)), outcome(call(GETXATTRAT, NULL, AT_FDCWD, A("file"), -1, A("user.one"), A(BAD), 5000)));
    list_of("below a folder", folder, "below", 0, 64);
    list_of("below a folder, size only", folder, "below", 0, 0);
    list_of("below a folder, too small", folder, "below", 0, 3);
    list_of("of a link below a folder", folder, "out", NOFOLLOW, 64);
    list_of("of a descriptor", file, "", EMPTY, 64);
    list_of("of an O_PATH descriptor", path, "", EMPTY, 64);
    list_of("of the working folder", AT_FDCWD, "", EMPTY, 64);
    list_of("of a closed descriptor", CLOSED, "x", 0, 64);
    list_of("unknown flag", CLOSED, BAD, 0x400, 64);
    line("listxattrat bad list: %s", outcome(call(LISTXATTRAT, NULL, folder, A("below"), 0, A(BAD), 64, 0)));
    line("removexattrat below a folder: %s", outcome(call(REMOVEXATTRAT, NULL, folder, A("below"), 0, A("user.two"), 0, 0)));
    line("removexattrat again: %s", outcome(call(REMOVEXATTRAT, NULL, folder, A("below"), 0, A("user.two"), 0, 0)));
    line("removexattrat through a link: %s", outcome(call(REMOVEXATTRAT, NULL, AT_FDCWD, A("link"), 0, A("user.one"), 0, 0)));
    line("removexattrat of a link: %s", outcome(call(REMOVEXATTRAT, NULL, AT_FDCWD, A("link"), NOFOLLOW, A("user.one"), 0, 0)));
    line("removexattrat of a descriptor: %s", outcome(call(REMOVEXATTRAT, NULL, file, A(""), EMPTY, A("user.four"), 0, 0)));
    line("removexattrat of the working folder: %s", outcome(call(REMOVEXATTRAT, NULL, AT_FDCWD, A(""), EMPTY, A("user.one"), 0, 0)));
    line("removexattrat odd: %s %s %s %s", outcome(call(REMOVEXATTRAT, NULL, file, A(BAD), 1, A(BAD), 0, 0)), outcome(call(REMOVEXATTRAT, NULL, file, A(BAD), 0, A(BAD), 0, 0)),
         outcome(call(REMOVEXATTRAT, NULL, file, A(BAD), 0, A(""), 0, 0)), outcome(call(REMOVEXATTRAT, NULL, file, A("x"), 0, A("user.x"), 0, 0)));
    list_of("what is left of the file", AT_FDCWD, "file", 0, 64);
    close(folder), close(file), close(path), close(link);
}

struct file_attr { uint64_t xflags; uint32_t extsize, nextents, projid, cowextsize; };

static void getattr_of(const char *what, int fd, const void *path, size_t size, int at)
{
    union { struct file_attr attr; unsigned char bytes[4200]; } to;
    memset(&to, 0xa5, sizeof to);
    long result = call(FILE_GETATTR, NULL, fd, A(path), A(&to), size, at, 0);
    line("file_getattr %s: %s flags %lx %x %x behind %x %x", what, outcome(result), (unsigned long)to.attr.xflags, to.attr.extsize, to.attr.projid, to.bytes[24], to.bytes[size > 24 ? size - 1 : 25]);
}

static void setattr_of(const char *what, int fd, const void *path, uint64_t xflags, uint32_t extsize, size_t size, int at)
{
    struct { struct file_attr attr; uint64_t more; } from = {{xflags, extsize, 0, 0, 0}, 0};
    line("file_setattr %s: %s", what, outcome(call(FILE_SETATTR, NULL, fd, A(path), A(&from), size, at, 0)));
}

static void file_attr_lines(void)
{
    int folder = open("folder", O_RDONLY | O_DIRECTORY), file = open("file", O_RDWR), path = open("file", O_PATH);
    setattr_of("no dump", AT_FDCWD, "file", 0x80, 0, 24, 0);
    getattr_of("of a file", AT_FDCWD, "file", 24, 0);
    getattr_of("of a folder", AT_FDCWD, "folder", 24, 0);
    getattr_of("through a link", AT_FDCWD, "link", 24, 0);
    getattr_of("of a link", AT_FDCWD, "link", 24, NOFOLLOW);
    getattr_of("of a fifo", AT_FDCWD, "fifo", 24, 0);
    getattr_of("of a socket", AT_FDCWD, "socket", 24, 0);
    getattr_of("of a device", AT_FDCWD, "/dev/null", 24, 0);
    getattr_of("of a file of /proc", AT_FDCWD, "/proc/self/status", 24, 0);
    getattr_of("longer struct", folder, "../file", 40, 0);
    getattr_of("longest struct", folder, "../file", 4096, 0);
    getattr_of("too long a struct", AT_FDCWD, BAD, 4097, 0);
    getattr_of("too short a struct", AT_FDCWD, BAD, 23, 0);
    getattr_of("of a descriptor", file, "", 24, EMPTY);
    getattr_of("of a descriptor and NULL", file, NULL, 24, EMPTY);
    getattr_of("of an O_PATH descriptor", path, "", 24, EMPTY);
    getattr_of("of the working folder", AT_FDCWD, "", 24, EMPTY);
    getattr_of("of a closed descriptor", CLOSED, "", 24, EMPTY);
    getattr_of("below a closed descriptor", CLOSED, "x", 24, 0);
    getattr_of("unknown flag", AT_FDCWD, BAD, 5000, 1);
    getattr_of("bad path", AT_FDCWD, BAD, 24, 0);
    getattr_of("empty path", AT_FDCWD, "", 24, 0);
    getattr_of("nothing", AT_FDCWD, "nothing", 24, 0);
    line("file_getattr bad buffer: %s", outcome(call(FILE_GETATTR, NULL, AT_FDCWD, A("file"), A(BAD), 24, 0, 0)));
    setattr_of("of a descriptor", file, "", 0xc0, 0, 24, EMPTY);
    getattr_of("as set by descriptor", file, "", 24, EMPTY);
    setattr_of("longer struct", AT_FDCWD, "file", 0, 0, 32, 0);
    getattr_of("as set by longer struct", file, "", 24, EMPTY);
    setattr_of("read-only bits", AT_FDCWD, "file", 0x80000002, 0, 24, 0);
    getattr_of("as set by read-only bits", file, "", 24, EMPTY);
    for (int bit = 0; bit < 64; bit++)
        if (bit != 3 && bit != 4) {
            char what[32];
            snprintf(what, sizeof what, "bit %d of a link", bit);
            setattr_of(what, AT_FDCWD, "link", 1ULL << bit, 0, 24, NOFOLLOW);
        }
    setattr_of("extent size without its flag", AT_FDCWD, "file", 0, 4096, 24, 0);
    setattr_of("short", AT_FDCWD, BAD, 0, 0, 8, 0);
    setattr_of("long", AT_FDCWD, BAD, 0, 0, 4097, 0);
    setattr_of("unknown flag", AT_FDCWD, BAD, 0, 0, 8, 2);
    setattr_of("of a closed descriptor", CLOSED, "", 0, 0, 24, EMPTY);
    setattr_of("of nothing", AT_FDCWD, "nothing", 0, 0, 24, 0);
    setattr_of("of a device", AT_FDCWD, "/dev/null", 0, 0, 24, 0);
    line("file_setattr bad struct: %s %s", outcome(call(FILE_SETATTR, NULL, AT_FDCWD, A(BAD), A(BAD), 24, 0, 0)), outcome(call(FILE_SETATTR, NULL, AT_FDCWD, A("file"), A(BAD), 4096, 0, 0)));
    close(folder), close(file), close(path);
}

static void checks(void)
{
    xattr_lines();
    file_attr_lines();
}

int main(int argc, char **argv)
{
    return in_tree(argc, argv, checks);
}
