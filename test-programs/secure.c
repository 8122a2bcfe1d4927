/* secure: prints whether this is secure execution (AT_SECURE), and the wrong answers of translated calls. */
#include "translate.h"
#include <stdio.h>
#include <sys/auxv.h>

int main(void)
{
    printf("secure %lu, wrong %x\n", getauxval(AT_SECURE), translate());
    return 0;
}
