/* A preload that stands behind the shim and defines `epoll_create`: returns 4242, which no descriptor is.
 * It also defines ustat (4243), sysctl (4244) and getmsg (4245), which check the arguments that `next` passes.
 * IFUNC: through an indirect function. VERSIONS: 4101 and 4102 are its old versions, 4242 the default.
 * HIDDEN: there is an old version only. MANY: among two hundred other functions. NOTHING: not at all.
 * Needs no libc, so one file serves glibc and musl. */
int second_answer(int size) { return 4242; }

#if defined IFUNC
static int (*resolve(void))(int) { return second_answer; }
int epoll_create(int size) __attribute__((ifunc("resolve")));
#elif defined VERSIONS
int second_first(int size) { return 4101; }
int second_older(int size) { return 4102; }
__asm__(".symver second_first,epoll_create@SECOND_1");
__asm__(".symver second_older,epoll_create@SECOND_2");
__asm__(".symver second_answer,epoll_create@@SECOND_3");
#elif defined HIDDEN
__asm__(".symver second_answer,epoll_create@SECOND_1");
#elif !defined NOTHING
int epoll_create(int size) { return second_answer(size); }
#endif

#ifndef NOTHING
typedef unsigned long word;
int ustat(word device, word buffer) { return device == 1 && buffer == 2 ? 4243 : -2; }
int sysctl(word name, word length, word old, word oldlen, word new, word newlen)
{
    return name == 1 && (int)length == 2 && old == 3 && oldlen == 4 && new == 5 && newlen == 6 ? 4244 : -2;
}
int getmsg(int fd, word control, word data, word flags)
{
    return fd == 1 && control == 2 && data == 3 && flags == 4 ? 4245 : -2;
}
#endif

#ifdef MANY
#define ONE(n) int second_filler_##n(void) { return 0x##n; }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n) TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
HUNDRED(1) HUNDRED(2)
#endif
