/* A preload that says on descriptor 2 that its constructor ran. Needs no libc, so that musl loads it too. */
__attribute__((constructor)) static void constructed(void)
{
    static const char text[] = "constructed\n";
    long result = 1; /* write(2) */
    __asm__ volatile("syscall" : "+a"(result) : "D"(2L), "S"(text), "d"(sizeof text - 1) : "rcx", "r11", "memory");
}
