"""Operations on names and directories; see ops.ts for their arguments. Called by ops.py."""
import os
import stat
import struct
import ctypes

from ops_state import b, check, fds, libc, proc, s

AT_FDCWD, AT_SYMLINK_FOLLOW = -100, 0x400
DTYPES = {0: "unknown", 1: "fifo", 2: "chr", 4: "dir", 6: "blk", 8: "file", 10: "symlink", 12: "socket"}


def op_exists(o):
    return os.path.lexists(b(o["path"]))


def op_mkdir(o):
    os.mkdir(b(o["path"]), o.get("mode", 0o755))


def op_rmdir(o):
    os.rmdir(b(o["path"]))


def op_unlink(o):
    os.unlink(b(o["path"]))


def op_rename(o):
    flags = {"": 0, "NOREPLACE": 1, "EXCHANGE": 2, "WHITEOUT": 4}[o.get("flags", "")]
    check(libc.renameat2(AT_FDCWD, b(o["path"]), AT_FDCWD, b(o["to"]), flags))


def op_link(o):
    os.link(b(o["path"]), b(o["to"]), follow_symlinks=False)


def op_linkfd(o):
    path = b"self/fd/%d" % fds[o["fd"]]
    check(libc.linkat(proc, path, AT_FDCWD, b(o["to"]), AT_SYMLINK_FOLLOW))


def op_symlink(o):
    os.symlink(b(o["target"]), b(o["path"]))


def op_readlink(o):
    return s(os.readlink(b(o["path"])))


def op_mknod(o):
    kind = {"file": stat.S_IFREG, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "chr": stat.S_IFCHR,
            "blk": stat.S_IFBLK}[o["type"]]
    major, minor = o.get("rdev", [0, 0])
    os.mknod(b(o["path"]), kind | o.get("mode", 0o644), os.makedev(major, minor))


def getdents(fd, size):
    """One getdents64(2): a list of (name, type, ino, cookie that follows the entry)."""
    buf = ctypes.create_string_buffer(size)
    end = check(libc.getdents64(fd, buf, ctypes.c_size_t(size)))
    out, at = [], 0
    while at < end:
        ino, off, length, kind = struct.unpack_from("QqHB", buf.raw, at)
        name = buf.raw[at + 19:at + length].split(b"\0", 1)[0]
        if name not in (b".", b".."):
            out.append((s(name), DTYPES.get(kind, str(kind)), ino, off))
        at += length
    return out, end


def entries(fd, size=1 << 15):
    out = []
    while True:
        more, end = getdents(fd, size)
        if end == 0:
            return out
        out += more


def with_dir(path, use):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return use(fd)
    finally:
        os.close(fd)


def op_readdir(o):
    if "fd" in o:
        os.lseek(fds[o["fd"]], 0, os.SEEK_SET)
        return sorted([n, t] for n, t, _, _ in entries(fds[o["fd"]]))
    return with_dir(b(o["path"]), lambda fd: sorted([n, t] for n, t, _, _ in entries(fd, o.get("bytes", 1 << 15))))


def op_direntinos(o):
    """Names whose d_ino differs from their st_ino."""
    path = b(o["path"])
    return with_dir(path, lambda fd: sorted(
        n for n, _, ino, _ in entries(fd) if os.lstat(os.path.join(path, b(n))).st_ino != ino))


def op_seekdirs(o):
    """Names after which a seek to their cookie does not continue with the entry that followed them."""
    def run(fd):
        listed, wrong = entries(fd, 512), []
        for at, (name, _, _, cookie) in enumerate(listed):
            os.lseek(fd, cookie, os.SEEK_SET)
            follows = [n for n, _, _, _ in entries(fd, 512)]
            if follows != [n for n, _, _, _ in listed[at + 1:]]:
                wrong.append(name)
        return sorted(wrong)
    return with_dir(b(o["path"]), run)


def op_drain(o):
    """rm -rf as fts does it: unlink each entry as it is read, in small reads; then what is left and what came twice."""
    path, seen = b(o["path"]), []

    def run(fd):
        while True:
            more, end = getdents(fd, o.get("bytes", 256))
            if end == 0:
                return {"removed": len(seen), "twice": len(seen) - len(set(seen))}
            for name, kind, _, _ in more:
                seen.append(name)
                full = os.path.join(path, b(name))
                os.rmdir(full) if kind == "dir" else os.unlink(full)
    return with_dir(path, run)
