/* execs_with PROGRAM [STRING...]: execs a program whose environment is these strings, whatever they are. */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char *arguments[] = {argv[1], 0};
    execve(argv[1], arguments, argv + 2);
    perror(argv[1]);
    return 127;
}
