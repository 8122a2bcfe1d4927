/* libearly.so: a library whose constructor makes translated calls. Prints the limit of descriptors before
 * the first of them and after it (evercall's start lowers it), and the wrong answers. */
#include "translate.h"
#include <stdio.h>
#include <sys/resource.h>

/* Something to need it for. */
int early_loaded = 1;

static long limit(void)
{
    struct rlimit now;
    getrlimit(RLIMIT_NOFILE, &now);
    return now.rlim_cur;
}

__attribute__((constructor)) static void early(void)
{
    char line[96];
    long before = limit();
    unsigned wrong = translate();
    int length = snprintf(line, sizeof line, "limit %ld, then %ld; wrong %x\n", before, limit(), wrong);
    if (write(1, line, length) != length)
        _exit(1);
}
