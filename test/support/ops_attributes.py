"""Operations on attributes, xattrs and the filesystem; see ops.ts for their arguments. Called by ops.py."""
import ctypes
import os
import stat
import struct

from ops_state import b, check, fds, inos, libc, s, target, when

AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFCHR: "chr", stat.S_IFBLK: "blk"}


def describe(st):
    kind = TYPES[stat.S_IFMT(st.st_mode)]
    out = {"type": kind, "mode": oct(stat.S_IMODE(st.st_mode)), "owner": "%d:%d" % (st.st_uid, st.st_gid),
           "mtime": when(st.st_mtime_ns)}
    if kind != "dir":
        out["nlink"] = st.st_nlink
        out["size"] = st.st_size
    if kind in ("chr", "blk"):
        out["rdev"] = "%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))
    return out


def op_stat(o):
    return describe(os.stat(target(o)))


def op_lstat(o):
    return describe(os.lstat(target(o)))


def op_ino(o):
    ino = (os.stat(fds[o["fd"]]) if "fd" in o else os.lstat(b(o["path"]))).st_ino
    if ino not in inos:
        inos.append(ino)
    return inos.index(ino)


def op_numbers(o):
    """The inode number of everything below a path, in decimal, and on how many devices it all is."""
    root, inos, devices = b(o["path"]), {}, set()
    pending = [(root, "")]
    while pending:
        full, rel = pending.pop()
        st = os.lstat(full)
        devices.add(st.st_dev)
        inos[rel] = str(st.st_ino)
        if stat.S_ISDIR(st.st_mode):
            pending += [(os.path.join(full, n), s(n) if rel == "" else rel + "/" + s(n)) for n in os.listdir(full)]
    return {"inos": inos, "devices": len(devices)}


def op_nlink(o):
    return os.lstat(b(o["path"])).st_nlink


def op_atime(o):
    return when(os.lstat(b(o["path"])).st_atime_ns)


def op_access(o):
    return os.access(b(o["path"]), o["mode"], effective_ids=True)


def op_chmod(o):
    os.chmod(target(o), o["mode"])


def op_chown(o):
    if "fd" in o:
        os.fchown(fds[o["fd"]], o["uid"], o["gid"])
    else:
        os.lchown(b(o["path"]), o["uid"], o["gid"])


def timespec(text):
    if text in ("now", "omit"):
        return struct.pack("qq", 0, UTIME_NOW if text == "now" else UTIME_OMIT)
    ns = int(text)
    return struct.pack("qq", ns // 10**9, ns % 10**9)


def op_utimens(o):
    times = timespec(o["atime"]) + timespec(o["mtime"])
    if "fd" in o:
        check(libc.futimens(fds[o["fd"]], times))
    else:
        check(libc.utimensat(AT_FDCWD, b(o["path"]), times, AT_SYMLINK_NOFOLLOW))


def xattr_target(o):
    return {"path": fds[o["fd"]]} if "fd" in o else {"path": b(o["path"]), "follow_symlinks": False}


def op_getxattr(o):
    return s(os.getxattr(attribute=b(o["name"]), **xattr_target(o)))


def op_setxattr(o):
    flags = {"": 0, "CREATE": os.XATTR_CREATE, "REPLACE": os.XATTR_REPLACE}[o.get("flags", "")]
    os.setxattr(attribute=b(o["name"]), value=b(o["value"]), flags=flags, **xattr_target(o))


def op_removexattr(o):
    os.removexattr(attribute=b(o["name"]), **xattr_target(o))


def op_listxattr(o):
    return sorted(n for n in os.listxattr(**xattr_target(o)) if n != "security.selinux")


def op_statfs(o):
    buf = ctypes.create_string_buffer(256)
    check(libc.statfs(b(o["path"]), buf))
    return {"magic": hex(struct.unpack_from("l", buf.raw)[0]), "namelen": os.statvfs(b(o["path"])).f_namemax}


def op_umask(o):
    os.umask(o["mask"])
