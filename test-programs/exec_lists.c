/* exec_lists execl|execle|execlp COUNT: becomes itself by that function with COUNT arguments, and prints
 * them, and the variable ONLY, as the new program sees them.
 * exec_lists fail: each function with 1 to 12 arguments and no such program, 200 times; checks result,
 * errno, and what is on the stack and in registers. Prints how many failed as they should. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define END (char *)0
/* CALL(n, f, path, end...): f with the first n of twelve words. */
#define A1 "shown"
#define A2 A1, "two"
#define A3 A2, "three"
#define A4 A3, "four"
#define A5 A4, "five"
#define A6 A5, "six"
#define A7 A6, "seven"
#define A8 A7, "eight"
#define A9 A8, "nine"
#define A10 A9, "ten"
#define A11 A10, "eleven"
#define A12 A11, "twelve"
#define CALLS(f, path, ...) \
    switch (count) { \
    case 1: return f(path, A1, __VA_ARGS__); \
    case 2: return f(path, A2, __VA_ARGS__); \
    case 3: return f(path, A3, __VA_ARGS__); \
    case 4: return f(path, A4, __VA_ARGS__); \
    case 5: return f(path, A5, __VA_ARGS__); \
    case 6: return f(path, A6, __VA_ARGS__); \
    case 7: return f(path, A7, __VA_ARGS__); \
    case 8: return f(path, A8, __VA_ARGS__); \
    case 9: return f(path, A9, __VA_ARGS__); \
    case 10: return f(path, A10, __VA_ARGS__); \
    case 11: return f(path, A11, __VA_ARGS__); \
    case 12: return f(path, A12, __VA_ARGS__); \
    } \
    return -2

static char *const only[] = {"ONLY=this", NULL};

static int by_execl(const char *path, int count) { CALLS(execl, path, END); }
static int by_execlp(const char *path, int count) { CALLS(execlp, path, END); }
static int by_execle(const char *path, int count) { CALLS(execle, path, END, only); }

/* A call with values that must live across it in every callee-saved register and on the stack. */
static int intact(int (*call)(const char *, int), int count, unsigned long seed)
{
    volatile unsigned long kept[16];
    unsigned long a = seed * 3, b = seed * 5, c = seed * 7, d = seed * 11, e = seed * 13, f = seed * 17;
    for (int i = 0; i < 16; i++)
        kept[i] = seed + i;
    errno = 0;
    int result = call("/nonexistent/program", count);
    int error = errno;
    int good = result == -1 && error == ENOENT;
    for (int i = 0; i < 16; i++)
        good &= kept[i] == seed + i;
    return good && a == seed * 3 && b == seed * 5 && c == seed * 7 && d == seed * 11 && e == seed * 13 && f == seed * 17;
}

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "shown") == 0) {
        printf("%d", argc);
        for (int i = 0; i < argc; i++)
            printf(" %s", argv[i]);
        printf(" ONLY=%s\n", getenv("ONLY") ? getenv("ONLY") : "unset");
        return 0;
    }
    if (argc > 2) {
        int count = atoi(argv[2]);
        const char *self = "/proc/self/exe";
        if (!strcmp(argv[1], "execl")) by_execl(self, count);
        if (!strcmp(argv[1], "execle")) by_execle(self, count);
        if (!strcmp(argv[1], "execlp")) by_execlp("exec_lists", count);
        perror(argv[1]);
        return 1;
    }
    int good = 0;
    for (unsigned long round = 0; round < 200; round++)
        for (int count = 1; count <= 12; count++) {
            good += intact(by_execl, count, round * 1000003);
            good += intact(by_execle, count, round * 1000003 + 1);
            good += intact(by_execlp, count, round * 1000003 + 2);
        }
    printf("%d failed as they should\n", good);
    return 0;
}
