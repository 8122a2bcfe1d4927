/* results_sleep: sleeps, interrupted and not, each a line of what can be said of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void caught(int signal) { (void)signal; }

static void timer(int on)
{
    struct itimerval often = {{0, on ? 20000 : 0}, {0, on ? 20000 : 0}};
    setitimer(ITIMER_REAL, &often, NULL);
}

static long long now(int clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* A call's result, then errno as it left it. */
#define SAY(what, call) do { left = untouched, errno = 0; int done = call; say(what, done, errno, &left); } while (0)

static void say(const char *what, int result, int error, const struct timespec *left)
{
    printf("%s: %d errno %d", what, result, error);
    if (left->tv_sec == 77)
        printf(", rest untouched\n");
    else
        printf(", %s left\n", left->tv_sec >= 0 && left->tv_sec < 100 ? "something" : "nonsense");
}

int main(void)
{
    struct sigaction action = {.sa_handler = caught};
    struct timespec untouched = {77, 77}, left, at, hundred = {100, 0}, short_time = {0, 30000000};
    sigaction(SIGALRM, &action, NULL);

    left = untouched, errno = 0;
    long long before = now(CLOCK_MONOTONIC);
    int result = clock_nanosleep(CLOCK_REALTIME, 0, &short_time, &left);
    say(now(CLOCK_MONOTONIC) - before >= 30000000 ? "relative, slept" : "relative, too short", result, errno, &left);

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += 30000000;
    if (at.tv_nsec >= 1000000000)
        at.tv_nsec -= 1000000000, at.tv_sec++;
    left = untouched;
    result = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, &left);
    say(now(CLOCK_REALTIME) >= at.tv_sec * 1000000000ll + at.tv_nsec ? "absolute, slept" : "absolute, too short", result, errno, &left);

    SAY("nanosleep", nanosleep(&short_time, &left));
    SAY("usleep", usleep(30000));
    errno = 0;
    unsigned rest = sleep(1);
    printf("sleep: %u errno %d\n", rest, errno);

    timer(1);
    SAY("relative, interrupted", clock_nanosleep(CLOCK_REALTIME, 0, &hundred, &left));
    at.tv_sec += 100;
    SAY("absolute, interrupted", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, &left));
    SAY("relative, interrupted, no rest", clock_nanosleep(CLOCK_REALTIME, 0, &hundred, NULL));
    SAY("nanosleep, interrupted", nanosleep(&hundred, &left));
    SAY("usleep, interrupted", usleep(900000));
    rest = sleep(100);
    printf("sleep, interrupted: %s\n", rest == 99 || rest == 100 ? "the rest" : "nonsense");
    timer(0);

    struct timespec bad = {0, 1000000000}, negative = {-1, 0};
    SAY("too many nanoseconds", clock_nanosleep(CLOCK_REALTIME, 0, &bad, &left));
    SAY("a negative time", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &negative, &left));
    SAY("nanosleep, a negative time", nanosleep(&negative, &left));
    SAY("no such clock", clock_nanosleep(99, 0, &short_time, &left));
    SAY("an old time", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){5, 0}, &left));
    return 0;
}
