"""Runs filesystem operations for the tests, so that no test process ever touches a mount it might be serving.

Reads one JSON request a line: {"id", "cwd", "ops": [...]}; writes one line for each result, [id, index, result], and
[id, -1, null] at the end. A result is {"v": value}, {"e": errno name} or {"x": what broke in this program}.
Strings are bytes in latin1. The operations and their arguments are listed in ops.ts. Started by worker.ts.
"""
import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import stat
import struct
import subprocess
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH = -100, 0x100, 0x400, 0x1000
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFCHR: "chr", stat.S_IFBLK: "blk"}
DTYPES = {0: "unknown", 1: "fifo", 2: "chr", 4: "dir", 6: "blk", 8: "file", 10: "symlink", 12: "socket"}
DAY = 86400 * 10**9



class Named(dict):
    """Fds or maps by the case's name for them; one whose open failed is a bad descriptor."""

    def __missing__(self, name):
        raise OSError(errno.EBADF, "nothing is open as " + name)


fds, maps, inos = Named(), Named(), []


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


def target(o):
    return fds[o["fd"]] if "fd" in o else b(o["path"])


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


# The whole-file operations do not block on a fifo: without a peer it reads as empty and refuses writers (ENXIO).


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


def op_stat(o):
    return describe(os.stat(target(o)))


def op_lstat(o):
    return describe(os.lstat(target(o)))


def op_ino(o):
    ino = (os.stat(fds[o["fd"]]) if "fd" in o else os.lstat(b(o["path"]))).st_ino
    if ino not in inos:
        inos.append(ino)
    return inos.index(ino)


def op_nlink(o):
    return os.lstat(b(o["path"])).st_nlink


def op_atime(o):
    return when(os.lstat(b(o["path"])).st_atime_ns)


def op_exists(o):
    return os.path.lexists(b(o["path"]))


def op_access(o):
    return os.access(b(o["path"]), o["mode"], effective_ids=True)


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
    path = b"/proc/self/fd/%d" % fds[o["fd"]]
    check(libc.linkat(AT_FDCWD, path, AT_FDCWD, b(o["to"]), AT_SYMLINK_FOLLOW))


def op_symlink(o):
    os.symlink(b(o["target"]), b(o["path"]))


def op_readlink(o):
    return s(os.readlink(b(o["path"])))


def op_mknod(o):
    kind = {"file": stat.S_IFREG, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "chr": stat.S_IFCHR,
            "blk": stat.S_IFBLK}[o["type"]]
    major, minor = o.get("rdev", [0, 0])
    os.mknod(b(o["path"]), kind | o.get("mode", 0o644), os.makedev(major, minor))


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


def op_nextdents(o):
    """How many entries one read gives is the filesystem's affair: only whether they are among the expected is told."""
    return sorted(n for n, _, _, _ in getdents(fds[o["fd"]], o["bytes"])[0])


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


def op_statfs(o):
    buf = ctypes.create_string_buffer(256)
    check(libc.statfs(b(o["path"]), buf))
    return {"magic": hex(struct.unpack_from("l", buf.raw)[0]), "namelen": os.statvfs(b(o["path"])).f_namemax}


def op_mmap(o):
    prot = mmap.PROT_READ | (mmap.PROT_WRITE if "w" in o["prot"] else 0)
    flags = mmap.MAP_SHARED if o["shared"] else mmap.MAP_PRIVATE
    maps[o["as"]] = mmap.mmap(fds[o["fd"]], o["len"], flags=flags, prot=prot)


def op_mread(o):
    return s(maps[o["map"]][o["off"]:o["off"] + o["len"]])


def op_mwrite(o):
    data = b(o["data"])
    maps[o["map"]][o["off"]:o["off"] + len(data)] = data


def op_msync(o):
    maps[o["map"]].flush()


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


def op_umask(o):
    os.umask(o["mask"])


def op_run(o):
    done = subprocess.run([b(a) for a in o["argv"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=15)
    return [done.returncode, s(done.stdout)]


def op_chdir(o):
    os.chdir(b(o["path"]))


def op_tree(o):
    """Everything below a path that a user can see, one text line an object, by path; hard links by their first name."""
    out, first, root = {}, {}, b(o["path"])

    def visit(full, rel):
        st = os.lstat(full)
        line = describe(st)
        kind = line.pop("type")
        if kind == "symlink":
            line["target"] = s(os.readlink(full))
        if kind == "file":
            line["data"] = op_cat({"path": full.decode("latin1")})
        if kind != "dir" and st.st_nlink > 1:
            line["same"] = first.setdefault(st.st_ino, rel.decode("latin1"))
        names = sorted(n for n in os.listxattr(full, follow_symlinks=False) if n != "security.selinux")
        for name in names:
            line[name] = s(os.getxattr(full, name, follow_symlinks=False))
        out[rel.decode("latin1")] = kind + " " + json.dumps(line, sort_keys=True)
        if kind == "dir":
            for name in sorted(os.listdir(full)):
                visit(os.path.join(full, name), os.path.join(rel, name) if rel else name)
    visit(root, b"")
    return out


def op_all(o):
    """Runs a list and gives the values; stops with an explanation at the first that fails."""
    out = []
    for inner in o["ops"]:
        result = run(inner)
        if "v" not in result:
            raise ValueError("%s of %s" % (result, inner))
        out.append(result["v"])
    return out


def run(o):
    user = o.get("user")
    if user is not None:
        os.setgroups(user[2:])
        os.setegid(user[1])
        os.seteuid(user[0])
    try:
        value = globals()["op_" + o["op"]](o)
        return {"v": value}
    except OSError as e:
        # Two names for one number: the one of abi/errno.ts.
        return {"e": "EOPNOTSUPP" if e.errno == errno.EOPNOTSUPP else errno.errorcode.get(e.errno, str(e.errno))}
    except Exception as e:
        return {"x": "%s: %s" % (type(e).__name__, e)}
    finally:
        if user is not None:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups([])


def reset():
    for fd in fds.values():
        try:
            os.close(fd)
        except OSError:
            pass
    fds.clear()
    for m in maps.values():
        m.close()
    maps.clear()
    inos.clear()
    os.umask(0o022)


def answer(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main():
    for text in sys.stdin:
        request = json.loads(text)
        reset()
        try:
            os.chdir(b(request["cwd"]))
        except OSError as e:
            answer([request["id"], -1, {"x": "chdir %s: %s" % (request["cwd"], e)}])
            continue
        for index, o in enumerate(request["ops"]):
            if o["op"] == "tree":
                os.chdir(b(request["cwd"]))
            answer([request["id"], index, run(o)])
        reset()
        os.chdir("/")
        answer([request["id"], -1, None])


main()
