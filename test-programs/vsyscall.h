/* The three calls at their fixed addresses, as old compilers gave them. Build with -mno-red-zone. */
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

#define CLOBBERS "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc"

/* mov $imm32, %reg; call *%reg */
static __attribute__((noinline)) long page_time(time_t *t)
{
    long result;
    __asm__ volatile("mov $0xffffffffff600400, %%rax\n\tcall *%%rax" : "=a"(result), "+D"(t) : : "rsi", CLOBBERS);
    return result;
}

static __attribute__((noinline, unused)) long page_gettimeofday(struct timeval *tv, struct timezone *tz)
{
    long result;
    __asm__ volatile("mov $0xffffffffff600000, %%r9\n\tcall *%%r9" : "=a"(result), "+D"(tv), "+S"(tz) : : CLOBBERS);
    return result;
}

/* call *pointer(%rip) */
extern long (*volatile page_getcpu_pointer)(unsigned *, unsigned *);
static __attribute__((noinline, unused)) long page_getcpu(unsigned *cpu, unsigned *node)
{
    return page_getcpu_pointer(cpu, node);
}
