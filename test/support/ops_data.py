"""Operations on contents and locks; see ops.ts for their arguments. Called by ops.py."""
import ctypes
import fcntl
import os
import subprocess
import sys

from ops_state import b, check, fds, libc, s, target


def open_flags(text):
    value = 0
    for word in text.split("|"):
        value |= getattr(os, "O_" + word)
    return value


def op_open(o):
    fd = os.open(b(o["path"]), open_flags(o["flags"]), o.get("mode", 0o644))
    if o["as"] in fds:
        os.close(fds[o["as"]])
    fds[o["as"]] = fd


def op_close(o):
    fd = fds[o["fd"]]
    del fds[o["fd"]]
    os.close(fd)


def op_read(o):
    return s(os.read(fds[o["fd"]], o.get("len", 1 << 16)))


def op_pread(o):
    return s(os.pread(fds[o["fd"]], o["len"], o["off"]))


def op_write(o):
    return os.write(fds[o["fd"]], b(o["data"]) * o.get("times", 1))


def op_pwrite(o):
    return os.pwrite(fds[o["fd"]], b(o["data"]) * o.get("times", 1), o["off"])


def op_lseek(o):
    return os.lseek(fds[o["fd"]], o["off"], getattr(os, "SEEK_" + o["whence"]))


# The whole-file operations do not block on a fifo: without a peer it reads as empty and refuses writers (ENXIO).
def op_cat(o):
    fd = os.open(b(o["path"]), os.O_RDONLY | os.O_NONBLOCK)
    try:
        out = b""
        while chunk := os.read(fd, 1 << 20):
            out += chunk
        return s(out)
    finally:
        os.close(fd)


def op_put(o):
    fd = os.open(b(o["path"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, o.get("mode", 0o644))
    try:
        return os.write(fd, b(o["data"]) * o.get("times", 1))
    finally:
        os.close(fd)


def op_append(o):
    fd = os.open(b(o["path"]), os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    try:
        return os.write(fd, b(o["data"]))
    finally:
        os.close(fd)


def op_truncate(o):
    os.truncate(target(o), o["size"])


def op_fallocate(o):
    mode = 0
    for word in filter(None, o["flags"].split("|")):
        mode |= {"KEEP_SIZE": 1, "PUNCH_HOLE": 2, "COLLAPSE": 8, "ZERO": 16, "INSERT": 32}[word]
    off, length = ctypes.c_longlong(o["off"]), ctypes.c_longlong(o["len"])
    check(libc.fallocate(fds[o["fd"]], mode, off, length))


def op_copyrange(o):
    return os.copy_file_range(fds[o["fd"]], fds[o["to"]], o["len"], o.get("off"), o.get("tooff"))


def op_fsync(o):
    os.fdatasync(fds[o["fd"]]) if o.get("data") else os.fsync(fds[o["fd"]])


def op_flock(o):
    how = 0
    for word in o["how"].split("|"):
        how |= getattr(fcntl, "LOCK_" + word)
    fcntl.flock(fds[o["fd"]], how)


def op_lockf(o):
    """Whether another process could take a POSIX lock on the path while this one holds it on the fd."""
    fcntl.lockf(fds[o["fd"]], fcntl.LOCK_EX | fcntl.LOCK_NB)
    code = "import fcntl,os,sys\nfd=os.open(os.fsencode(sys.argv[1]),os.O_RDWR)\n" \
           "try: fcntl.lockf(fd,fcntl.LOCK_EX|fcntl.LOCK_NB)\nexcept OSError: sys.exit(7)\n"
    return subprocess.run([sys.executable, "-c", code, b(o["path"])], timeout=10).returncode
