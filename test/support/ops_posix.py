"""Operations that the POSIX suite needs beyond the common ones; see ops-posix.ts for their arguments. Called by ops.py."""
import ctypes
import errno
import os
import socket
import stat
import time

from ops_attributes import TYPES
from ops_state import b, check, fds, libc, stamps

BAD = {"null": None, "outside": ctypes.c_void_p(0xDEADC0DE)}
AT_FDCWD, REALTIME_COARSE = -100, 5
FIELDS = {
    "type": lambda st: TYPES[stat.S_IFMT(st.st_mode)],
    "mode": lambda st: "%04o" % stat.S_IMODE(st.st_mode),
    "owner": lambda st: "%d:%d" % (st.st_uid, st.st_gid),
    "nlink": lambda st: str(st.st_nlink),
    "size": lambda st: str(st.st_size),
    "rdev": lambda st: "%d,%d" % (os.major(st.st_rdev), os.minor(st.st_rdev)),
    "atime": lambda st: str(st.st_atime_ns),
    "mtime": lambda st: str(st.st_mtime_ns),
}


def look(o):
    return os.fstat(fds[o["fd"]]) if "fd" in o else os.stat(b(o["path"]), follow_symlinks=o.get("follow", False))


def op_attrs(o):
    st = look(o)
    return " ".join(FIELDS[field](st) for field in o["want"].split())


def op_create(o):
    os.close(os.open(b(o["path"]), os.O_CREAT | os.O_EXCL | os.O_WRONLY, o["mode"]))


def op_mkdirs(o):
    os.makedirs(b(o["path"]))


def op_bind(o):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(b(o["path"]))


def op_follow_chown(o):
    os.chown(b(o["path"]), o["uid"], o["gid"])


def op_follow_utimens(o):
    os.utime(b(o["path"]), ns=(int(o["atime"]), int(o["mtime"])))


def op_stamp(o):
    """Keeps a time of the object, and waits until what changes next must get another: the coarse clock has moved on."""
    ns = getattr(look(o), "st_%s_ns" % o["of"])
    stamps[o["as"]] = ns
    limit = time.monotonic() + 5
    while time.clock_gettime_ns(REALTIME_COARSE) <= ns:
        if time.monotonic() > limit:
            raise ValueError("the clock does not pass %d" % ns)
        time.sleep(0.001)


def op_since(o):
    ns, was = getattr(look(o), "st_%s_ns" % o["of"]), stamps[o["as"]]
    return "later" if ns > was else "same" if ns == was else "earlier"


def op_posix_fallocate(o):
    os.posix_fallocate(fds[o["fd"]], o["off"], o["len"])


def op_pathconf(o):
    return os.pathconf(b(o["path"]), o["name"])


def op_fault(o):
    """A system call with a path outside of the address space; `which` says where the bad one goes of two."""
    good, bad = b(o.get("path", "")), BAD[o["kind"]]
    pair = {"first": (bad, good), "second": (good, bad), "both": (bad, BAD["outside" if bad is None else "null"])}
    one = {"chmod": (0o644,), "chown": (0, 0), "lchown": (0, 0), "mkdir": (0o755,), "mkfifo": (0o644,), "open": (0,),
           "rmdir": (), "truncate": (ctypes.c_long(1),), "unlink": (), "access": (4,)}
    call, at = o["call"], ctypes.c_int(AT_FDCWD)
    if call in one:
        check(getattr(libc, call)(bad, *one[call]))
    elif call == "mknod":
        check(libc.mknod(bad, stat.S_IFIFO | 0o644, 0))
    elif call == "creat":
        check(libc.open(bad, os.O_CREAT | os.O_WRONLY, 0o644))
    elif call == "utimensat":
        check(libc.syscall(280, at, ctypes.c_void_p(8) if bad is None else bad, None, 0))
    else:
        check(getattr(libc, call)(*pair[o["which"]]))


def op_links(o):
    """Links to a file until one fails: how many names it has then, and the errno."""
    path, count = b(o["path"]), 1
    while count < o["most"]:
        try:
            os.link(path, b(o["to"]) + b"%d" % count)
        except OSError as e:
            return [count, errno.errorcode[e.errno]]
        count += 1
    return [count, "none"]


def op_fill(o):
    """Files are made until there is no room for another; gives the errno."""
    count = 0
    while count < 100_000:
        try:
            os.close(os.open(b(o["path"]) + b"%d" % count, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except OSError as e:
            return errno.errorcode[e.errno]
        count += 1
    return "none"
