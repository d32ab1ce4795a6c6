"""What the operations of a case share: its fds, maps, inodes and times, and how bytes and times cross the line protocol."""
import ctypes
import errno
import hashlib
import os
import time

# Opened before any process changes its root.
proc, null = os.open("/proc", os.O_PATH | os.O_DIRECTORY), os.open("/dev/null", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
DAY = 86400 * 10**9


class Named(dict):
    """Fds or maps by the case's name for them; one whose open failed is a bad descriptor."""

    def __missing__(self, name):
        raise OSError(errno.EBADF, "nothing is open as " + name)


fds, maps, inos, stamps, programs = Named(), Named(), [], {}, {}


def b(text):
    return text.encode("latin1")


def s(data):
    """Content as latin1 text; long content as its length and digest, for results that can be read in a report."""
    if len(data) <= 200:
        return data.decode("latin1")
    return "%d bytes, sha1 %s" % (len(data), hashlib.sha1(data).hexdigest()[:12])


def check(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def when(ns):
    """A time that was set is exact; one that the operation made is "now", for runs to be comparable."""
    return "now" if abs(ns - time.time_ns()) < DAY else str(ns)


def target(o):
    return fds[o["fd"]] if "fd" in o else b(o["path"])
