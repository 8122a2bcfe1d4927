/* limits: prints RLIMIT_NOFILE, soft and hard. */
#include <stdio.h>
#include <sys/resource.h>

int main(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    printf("%lld %lld\n", (long long)limit.rlim_cur, (long long)limit.rlim_max);
    return 0;
}
