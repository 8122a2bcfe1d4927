/* needs_early: linked against libearly.so, so that its constructor runs before the preload's. Prints main. */
#include <stdio.h>

extern int early_loaded;

int main(void)
{
    printf("main %d\n", early_loaded);
    return 0;
}
