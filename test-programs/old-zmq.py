"""Two ZeroMQ sockets that talk, by the library in the folder of an unpacked wheel of pyzmq 16."""
import ctypes
import glob
import sys

zmq = ctypes.CDLL(glob.glob(sys.argv[1] + "/zmq/.libs/libzmq*.so*")[0])
zmq.zmq_ctx_new.restype = zmq.zmq_socket.restype = ctypes.c_void_p
REQ, REP, LAST_ENDPOINT = 3, 4, 32

context = ctypes.c_void_p(zmq.zmq_ctx_new())
reply = ctypes.c_void_p(zmq.zmq_socket(context, REP))
request = ctypes.c_void_p(zmq.zmq_socket(context, REQ))
assert zmq.zmq_bind(reply, b"tcp://127.0.0.1:*") == 0
address, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
assert zmq.zmq_getsockopt(reply, LAST_ENDPOINT, address, ctypes.byref(size)) == 0
assert zmq.zmq_connect(request, address.value) == 0
text = ctypes.create_string_buffer(16)
assert zmq.zmq_send(request, b"ping", 4, 0) == 4
print(zmq.zmq_recv(reply, text, 16, 0), text.value)
assert zmq.zmq_send(reply, b"pong", 4, 0) == 4
print(zmq.zmq_recv(request, text, 16, 0), text.value)
print(zmq.zmq_close(reply), zmq.zmq_close(request), zmq.zmq_ctx_term(context))
