/* pty stopped|full|background PROGRAM [ARGS...]: runs a program with descriptor 2 on a terminal that nobody
 * reads: stopped by ^S, or left to run full, or with the program in the background under TOSTOP.
 * Exits as the program does, 120 if a signal stopped it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int master, slave, status;
    if (openpty(&master, &slave, 0, 0, 0))
        return 99;
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    if (!strcmp(argv[1], "stopped"))
        tcflow(slave, TCOOFF);
    if (!strcmp(argv[1], "background")) {
        struct termios mode;
        tcgetattr(slave, &mode);
        mode.c_lflag |= TOSTOP;
        tcsetattr(slave, TCSANOW, &mode);
    }
    pid_t child = fork();
    if (!child) {
        if (!strcmp(argv[1], "background"))
            setpgid(0, 0);
        dup2(slave, 2);
        close(slave);
        close(master);
        execv(argv[2], argv + 2);
        _exit(98);
    }
    waitpid(child, &status, WUNTRACED);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 120;
}
