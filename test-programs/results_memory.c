/* results_memory syscall|symbol|ask: remap_file_pages over a window of shared pages; see modern.h.
 * Page N of the file is full of the byte N. */
#include "modern.h"

enum { WINDOW = 16, PAGES = 24 };

static int remap_file(void)
{
    static unsigned char page[PAGE];
    char path[] = "/tmp/results.XXXXXX";
    if (is("kind", "anonymous"))
        return -1;
    int file = is("kind", "named") ? mkstemp(path) : (int)syscall(319, "results", 1);
    for (int i = 0; i < PAGES; i++) {
        memset(page, i, PAGE);
        if (write(file, page, PAGE) != PAGE)
            exit(2);
    }
    if (is("kind", "named")) {
        if (is("open", "r")) {
            close(file);
            file = open(path, O_RDONLY);
        }
        if (!is("gone", "yes"))
            setenv("NAMED", path, 1);
        else
            unlink(path);
    }
    return file;
}

/* What stands in each page: its rights and offset by /proc/self/maps, and the byte it shows. */
static void show(unsigned char *window)
{
    char text[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    char what[WINDOW][32];
    memset(what, 0, sizeof what);
    while (fgets(text, sizeof text, maps)) {
        unsigned long start, end, offset;
        char rights[8];
        if (sscanf(text, "%lx-%lx %7s %lx", &start, &end, rights, &offset) != 4)
            continue;
        for (int i = 0; i < WINDOW; i++) {
            unsigned long at = (unsigned long)window + (unsigned long)i * PAGE;
            if (at >= start && at < end)
                snprintf(what[i], sizeof what[i], "%s%lx", rights, (offset + at - start) / PAGE);
        }
    }
    fclose(maps);
    for (int i = 0; i < WINDOW; i++) {
        unsigned char byte = 0;
        int memory = open("/proc/self/mem", O_RDONLY);
        ssize_t got = pread(memory, &byte, 1, (off_t)(unsigned long)(window + i * PAGE));
        close(memory);
        printf(" %s:%d", what[i], got == 1 ? byte : -1);
    }
}

/* remap kind=memory|named|anonymous base=FIRST PAGE rights=N (PROT_) private=yes hole=PAGE odd=PAGE (rights differ)
 * locked=yes gone=yes open=r calls=START:BYTES:PGOFF:FLAGS:PROT,... START in bytes from the window */
static void make_remap(void)
{
    int file = remap_file();
    int rights = (int)number("rights", 3), flags = is("private", "yes") ? MAP_PRIVATE : MAP_SHARED;
    unsigned char *window = mmap(NULL, WINDOW * PAGE, rights, flags | (file < 0 ? MAP_ANONYMOUS : 0), file, number("base", 0) * PAGE);
    if (window == MAP_FAILED) {
        printf(" no window: %d", errno);
        goto end;
    }
    for (int i = 0; file < 0 && i < WINDOW; i++)
        memset(window + i * PAGE, i, PAGE);
    if (value("hole", NULL))
        munmap(window + number("hole", 0) * PAGE, PAGE);
    if (value("odd", NULL))
        mprotect(window + number("odd", 0) * PAGE, PAGE, PROT_NONE);
    if (is("locked", "yes") && mlock(window, PAGE * 4))
        printf(" not locked");
    const char *list = value("calls", "0:4096:5");
    while (list && *list) {
        long long a[5] = {0};
        char *end = (char *)list;
        for (int i = 0; i < 5; i++) {
            a[i] = strtoll(end, &end, 0);
            if (*end != ':')
                break;
            end++;
        }
        long result = made(216, "remap_file_pages", INT,
                           (long[6]){(long)window + (long)a[0], (long)a[1], (long)a[4], (long)a[2], (long)a[3]});
        int error = errno;
        printf(" | %ld %d", result, result < 0 ? error : 0);
        show(window);
        if (result == 0 && rights & PROT_WRITE && !value("odd", NULL) && a[1] == PAGE && a[0] >= 0 && a[0] < WINDOW * PAGE && file >= 0 && a[2] < PAGES) {
            // A write goes to the file.
            unsigned char seen;
            unsigned char *at = window + (a[0] & -PAGE);
            *at ^= 0x80;
            printf(" file %d", pread(file, &seen, 1, a[2] * PAGE) == 1 ? seen : -1);
            *at ^= 0x80;
        }
        list = strchr(list, ',');
        list += list != NULL;
    }
    munmap(window, WINDOW * PAGE);
end:
    if (getenv("NAMED"))
        unlink(getenv("NAMED"));
    unsetenv("NAMED");
    close(file);
}

const struct call calls[] = {{"remap_file_pages", make_remap}, {NULL, NULL}};

const char *const checks[] = {
    "remap_file_pages calls=0:4096:5", "remap_file_pages calls=4096:8192:3,0:4096:9,8192:4096:0",
    "remap_file_pages kind=anonymous calls=0:4096:5,4096:8192:0", "remap_file_pages private=yes",
    "remap_file_pages calls=0:4096:5:0:1", "remap_file_pages calls=0:0:5", "remap_file_pages calls=-40960:4096:5",
    "remap_file_pages hole=2 calls=0:16384:5", "remap_file_pages odd=2 calls=0:16384:5", "remap_file_pages calls=0:4096:100",
    NULL,
};
