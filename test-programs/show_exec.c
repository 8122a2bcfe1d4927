/* show_exec: prints what an exec gave it: its arguments, then its environment, an entry a line, in order. */
#include <stdio.h>

int main(int argc, char **argv, char **envp)
{
    for (int i = 0; i < argc; i++)
        printf("arg %s\n", argv[i]);
    for (; *envp; envp++)
        printf("env %s\n", *envp);
    return 0;
}
