/* execs_bare PROGRAM: execs a program with an empty argument list. */
#include <stdio.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    char *none[] = {0};
    execve(argv[1], none, environ);
    perror(argv[1]);
    return 127;
}
