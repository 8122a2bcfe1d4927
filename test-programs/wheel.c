/* wheel LIBRARY: two sockets of ZeroMQ that talk within the process, by a library that is loaded by its name. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    void *zmq = argc > 1 ? dlopen(argv[1], RTLD_NOW) : 0;
    if (!zmq) {
        puts(argc > 1 ? dlerror() : "usage: wheel LIBRARY");
        return 2;
    }
    void *(*context)(void) = dlsym(zmq, "zmq_ctx_new"), *(*socket)(void *, int) = dlsym(zmq, "zmq_socket");
    int (*bind)(void *, const char *) = dlsym(zmq, "zmq_bind"), (*join)(void *, const char *) = dlsym(zmq, "zmq_connect");
    int (*send)(void *, const void *, size_t, int) = dlsym(zmq, "zmq_send"), (*receive)(void *, void *, size_t, int) = dlsym(zmq, "zmq_recv");
    void *all = context(), *reply = socket(all, 4), *request = socket(all, 3);
    char text[16] = "";
    int right = !bind(reply, "inproc://talk") && !join(request, "inproc://talk") && send(request, "ping", 4, 0) == 4
                && receive(reply, text, sizeof text, 0) == 4 && !memcmp(text, "ping", 4);
    puts(right ? "ping" : "nothing");
    return !right;
}
