"""Operations at the edges of a file: direct I/O, running programs, inode flags, statx, listings that change under the
reader, and paths longer than a path may be; see ops.ts for their arguments. Called by ops.py."""
import ctypes
import errno
import fcntl
import mmap
import os
import resource
import struct
import subprocess
import time

from ops_attributes import TYPES
from ops_data import open_flags
from ops_names import getdents
from ops_state import b, check, fds, libc, null, proc, programs, s, target

AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_ALL, STATX_BTIME = -100, 0x100, 0xFFF, 0x800
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR = 0x80086601, 0x40086602, 0x801C581F
LETTERS = {"S": 0x8, "i": 0x10, "a": 0x20, "d": 0x40, "A": 0x80}
SYS_getcwd = {"x86_64": 79, "aarch64": 17}[os.uname().machine]
# A program that dies would leave a file in the directory it was started in.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
# Page-aligned, and with room to be misaligned.
memory = mmap.mmap(-1, 1 << 16)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))


def op_dread(o):
    """pread into memory that is `skew` bytes off a page."""
    n = check(libc.pread(fds[o["fd"]], address + o["skew"], o["len"], o["off"]))
    return s(memory[o["skew"]:o["skew"] + n])


def op_dwrite(o):
    data = (b(o["data"]) * o["len"])[:o["len"]]
    memory[o["skew"]:o["skew"] + len(data)] = data
    return check(libc.pwrite(fds[o["fd"]], address + o["skew"], len(data), o["off"]))


def op_setfl(o):
    fcntl.fcntl(fds[o["fd"]], fcntl.F_SETFL, open_flags(o["flags"]) if o["flags"] else 0)


def op_start(o):
    """Runs a program until it is stopped."""
    program = subprocess.Popen([b"./" + b(o["path"])], stdin=null, stdout=null, stderr=null)
    stop(o["as"])
    programs[o["as"]] = program
    limit = time.monotonic() + 2
    while time.monotonic() < limit:
        fd = os.open("%d/stat" % program.pid, os.O_RDONLY, dir_fd=proc)
        state = os.read(fd, 1024).rpartition(b") ")[2][:1]
        os.close(fd)
        if state in b"SZ":
            break
    if program.poll() is not None:
        del programs[o["as"]]
        raise OSError(errno.ENOEXEC, "it ended at once")


def stop(name):
    program = programs.pop(name, None)
    if program is not None:
        program.kill()
        program.wait()


def op_stop(o):
    stop(o["as"])


def flags_of(fd):
    value = struct.unpack("l", fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(8)))[0]
    return "".join(letter for letter, bit in LETTERS.items() if value & bit)


def with_fd(o, use):
    if "fd" in o:
        return use(fds[o["fd"]])
    fd = os.open(b(o["path"]), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        return use(fd)
    finally:
        os.close(fd)


def op_getflags(o):
    return with_fd(o, flags_of)


def op_setflags(o):
    """`chattr`: the letters given are set, the other letters of LETTERS cleared, what else there is stays."""
    def use(fd):
        value = struct.unpack("l", fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(8)))[0]
        value &= ~sum(LETTERS.values())
        value |= sum(LETTERS[letter] for letter in o["letters"])
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("l", value))
    with_fd(o, use)


def op_xflags(o):
    """fsx_xflags, of FS_IOC_FSGETXATTR: the same flags in another coat."""
    return with_fd(o, lambda fd: hex(struct.unpack_from("I", fcntl.ioctl(fd, FS_IOC_FSGETXATTR, bytes(28)))[0] & 0xF8))


def op_statx(o):
    """Which fields came, and those that are the same on every filesystem."""
    buf = ctypes.create_string_buffer(256)
    check(libc.statx(AT_FDCWD, b(o["path"]), AT_SYMLINK_NOFOLLOW, STATX_ALL, buf))
    mask, blksize, _, nlink, uid, gid, mode = struct.unpack_from("IIQIIIH", buf.raw)
    size, = struct.unpack_from("Q", buf.raw, 40)
    born, = struct.unpack_from("q", buf.raw, 80)
    kind = TYPES[mode & 0o170000]
    return {"type": kind, "mode": oct(mode & 0o7777), "owner": "%d:%d" % (uid, gid), "blksize": blksize,
            "nlink": 0 if kind == "dir" else nlink, "size": 0 if kind == "dir" else size, "basic": mask & 0x7FF == 0x7FF,
            "born": "today" if mask & STATX_BTIME and abs(born - time.time()) < 86400 else "not known"}


def op_scan(o):
    """Reads a directory in small steps, with an operation after each: what stayed and was not seen once."""
    path = b(o["path"])
    before = set(os.listdir(path))
    fd, seen, pending = os.open(path, os.O_RDONLY | os.O_DIRECTORY), [], list(o["between"])
    try:
        at = 0
        while True:
            if o.get("seek"):
                os.lseek(fd, at, os.SEEK_SET)
            more, end = getdents(fd, o["bytes"])
            if end == 0:
                break
            seen += [b(name) for name, _, _, _ in more]
            at = more[-1][3] if more else os.lseek(fd, 0, os.SEEK_CUR)
            if pending:
                o["run"](pending.pop(0))
        for inner in pending:
            o["run"](inner)
        # What was there all the time, under its name.
        touched = {b(inner[end]).rpartition(b"/")[2] for inner in o["between"] for end in ("path", "to") if end in inner}
        stayed = before - touched
        os.lseek(fd, 0, os.SEEK_SET)
        again = [name for name, _, _, _ in getdents(fd, 1 << 15)[0]]
        return {"missed": sorted(s(n) for n in stayed if n not in seen),
                "twice": sorted(s(n) for n in stayed if seen.count(n) > 1), "again": sorted(again)}
    finally:
        os.close(fd)


def walk(dirs):
    for name in dirs:
        os.chdir(b(name))


def op_at(o):
    """Walks down from the current directory, by `dirs`, or by `depth` steps into the first of `names` that is there;
    then the inner operation, and back."""
    home = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        walk(o.get("dirs", []))
        reached = descend(o["names"], o["depth"]) if "depth" in o else None
        inner = o["run"](o["inner"])
        if "e" in inner:
            raise OSError(getattr(errno, inner["e"]), "")
        if "x" in inner:
            raise ValueError(inner["x"])
        return inner["v"] if reached is None else [reached, inner["v"]]
    finally:
        os.fchdir(home)
        os.close(home)


def descend(names, depth):
    for level in range(depth):
        for name in names:
            try:
                os.chdir(b(name))
                break
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
        else:
            return level
    return depth


def op_enter(o):
    return descend(o["names"], o["depth"])


def op_getcwd(o):
    """getcwd(2) itself: a C library would walk where the path is too long for it."""
    buf = ctypes.create_string_buffer(8192)
    check(libc.syscall(SYS_getcwd, buf, ctypes.c_size_t(8192)))
    return s(buf.value.rpartition(b"/mnt/")[2])


def op_utimes(o):
    """utimensat in all its forms: `times` is null or two of now, omit, bad, or seconds with nanoseconds."""
    words = {"now": (0, (1 << 30) - 1), "omit": (0, (1 << 30) - 2), "bad": (0, 10**9)}
    pairs = [words[t] if t in words else divmod(int(t), 10**9) for t in o["times"] or []]
    times = b"".join(struct.pack("qq", *pair) for pair in pairs) or None
    flags = 0 if o.get("follow") else AT_SYMLINK_NOFOLLOW
    check(libc.utimensat(AT_FDCWD, b(o["path"]), times, flags) if "path" in o else libc.futimens(target(o), times))
