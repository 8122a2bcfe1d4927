/*
 * The least that a preload can be: a shared object that holds nothing and needs nothing. What it adds
 * to an exec is ld.so's own work, and the floor under every preload.
 */
static const char nothing __attribute__((used)) = 0;
