/* closes_all: closes every descriptor, then makes translated calls. Its exit status is 0 if all answers are
 * right and the next file it opens gets the lowest number. */
#include "translate.h"

int main(void)
{
    for (int fd = 0; fd < 70000; fd++)
        close(fd);
    if (translate())
        return 1;
    return open("/dev/null", O_RDWR) == 0 && open("/dev/null", O_RDWR) == 1 ? 0 : 2;
}
