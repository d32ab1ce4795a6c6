"""Operations on memory maps; see ops.ts for their arguments. Called by ops.py.

The memory is touched by the kernel on our behalf, in a copy to or from a memfd: an access that would raise SIGBUS (beyond
the end of the file) then ends with EFAULT, and a process whose map is at fault lives to tell.
"""
import ctypes
import errno
import mmap
import os
import re

from ops_state import b, check, fds, libc, maps

PROT_READ, PROT_WRITE, MAP_SHARED, MAP_PRIVATE, MS_SYNC, FAILED = 1, 2, 1, 2, 4, ctypes.c_void_p(-1).value
PAGE = mmap.PAGESIZE
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
for call in (libc.pread, libc.pwrite):
    call.restype = ctypes.c_ssize_t
    call.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]

desk = os.memfd_create("desk")


def unmap(name):
    libc.munmap(*maps.pop(name))


def op_mmap(o):
    prot = PROT_READ | (PROT_WRITE if "w" in o["prot"] else 0)
    flags = MAP_SHARED if o["shared"] else MAP_PRIVATE
    address = libc.mmap(None, o["len"], prot, flags, fds[o["fd"]], o.get("off", 0))
    if address == FAILED:
        check(-1)
    if o["as"] in maps:
        unmap(o["as"])
    maps[o["as"]] = (address, o["len"])


def within(o, length):
    """The address of a place in a map, which must end in it: what follows may be another map."""
    address, size = maps[o["map"]]
    if o["off"] + length > -(-size // PAGE) * PAGE:
        raise OSError(errno.EFAULT, "outside of the map")
    return address + o["off"]


def op_mread(o):
    address = within(o, o["len"])
    os.ftruncate(desk, 0)
    check(libc.pwrite(desk, address, o["len"], 0))
    return stretches(os.pread(desk, o["len"], 0))


def stretches(data):
    """What is not zero, by offset, in whole: behind the end of a file there may be something or nothing."""
    return {str(found.start()): found.group().decode("latin1") for found in re.finditer(rb"[^\0]+", data)}


def op_mwrite(o):
    data = b(o["data"])
    address = within(o, len(data))
    os.ftruncate(desk, 0)
    os.pwrite(desk, data, 0)
    return check(libc.pread(desk, address, len(data), 0))


def op_msync(o):
    check(libc.msync(*maps[o["map"]], MS_SYNC))


def op_munmap(o):
    maps[o["map"]]
    unmap(o["map"])
