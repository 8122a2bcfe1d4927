"""remap_file_pages and sync_file_range, with what each answers."""
import ctypes
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    ctypes.set_errno(0)
    function = getattr(libc, name)
    result = function(*(ctypes.c_long(argument) for argument in arguments))
    return f"{result} {os.strerror(ctypes.get_errno())}"


file = os.open("file", os.O_RDWR | os.O_CREAT)
os.write(file, b"0" * 4096 + b"1" * 4096 + b"2" * 4096)
for flags in range(9):
    print("sync_file_range", flags, call("sync_file_range", file, 0, 0, flags))
memory = mmap.mmap(file, 3 * 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
print("remap_file_pages", call("remap_file_pages", address, 4096, 0, 2, 0), memory[0:1], memory[4096:4097])
