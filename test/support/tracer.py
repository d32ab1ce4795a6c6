"""Stops a process before each system call that changes a disk, in whatever thread, and does what it is told then.

usage: tracer.py PID. Writes one JSON line for each stop, [name of the call, its fifth argument], and reads one line in answer: "go" lets it
happen, "kill" ends the process with SIGKILL before it happens, "fail N" makes it fail with errno N without happening.
First it writes ["ready"]. When this program ends the process runs on untraced. x86-64 only. Started by tracer.ts.

Whatever call is not known to be harmless counts as one that changes a disk, so that a new one is not left out.
"""
import ctypes
import json
import os
import signal
import struct
import sys

SYSCALL, POKEUSER, SEIZE, INTERRUPT, LISTEN, SYSCALL_INFO = 24, 6, 0x4206, 0x4207, 0x4208, 0x420E
TRACESYSGOOD, TRACECLONE = 1, 8
ORIG_RAX, RAX = 15 * 8, 10 * 8
WALL = 0x40000000
STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

# Calls that only read, or only change the process itself.
HARMLESS = set([0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 21, 22, 23, 24, 25, 27, 28, 32, 33, 35, 39, 41, 42, 43,
                44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 72, 73, 78, 79, 80, 89, 95, 96,
                97, 98, 99, 102, 104, 107, 108, 110, 122, 123, 131, 137, 138, 157, 158, 186, 191, 192, 193, 194, 195, 196, 200,
                201, 202, 203, 204, 213, 217, 218, 219, 221, 228, 229, 230, 231, 232, 233, 234, 247, 262, 267, 269, 270, 271,
                272, 273, 281, 283, 284, 286, 287, 288, 290, 291, 292, 293, 295, 302, 303, 304, 309, 317, 318, 319, 332, 334,
                424, 434, 435, 436, 439, 441, 449])
NAMES = {1: "write", 2: "open", 16: "ioctl", 18: "pwrite", 20: "writev", 74: "fsync", 75: "fdatasync", 76: "truncate",
         77: "ftruncate", 90: "chmod", 91: "fchmod", 188: "setxattr", 189: "lsetxattr", 190: "fsetxattr", 197: "removexattr",
         198: "lremovexattr", 199: "fremovexattr", 257: "openat", 258: "mkdirat", 259: "mknodat", 260: "fchownat",
         263: "unlinkat", 264: "renameat", 265: "linkat", 266: "symlinkat", 268: "fchmodat", 280: "utimensat",
         285: "fallocate", 296: "pwritev", 306: "syncfs", 316: "renameat2", 326: "copy_file_range", 437: "openat2",
         452: "fchmodat2"}
CHANGING_IOCTLS = (0x40049409, 0x4020940D, 0x40086602, 0x401C5820)  # FICLONE, FICLONERANGE, SETFLAGS, FSSETXATTR
O_CREAT, O_TRUNC, O_TMPFILE = 0o100, 0o1000, 0o20000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, tid, address=0, data=0):
    return libc.ptrace(request, tid, address, data)


def opens_to_change(flags):
    return flags & (O_CREAT | O_TRUNC | O_TMPFILE) != 0


def is_file(pid, fd):
    try:
        path = os.readlink("/proc/%d/fd/%d" % (pid, fd))
    except OSError:
        return False
    return path.startswith("/") and not path.startswith(("/dev/", "/proc/", "/sys/"))


def changes(pid, number, args):
    if number in HARMLESS:
        return False
    if number in (1, 20):
        return is_file(pid, args[0] & 0xFFFFFFFF)
    if number == 2:
        return opens_to_change(args[1])
    if number == 257:
        return opens_to_change(args[2])
    if number == 437:
        with open("/proc/%d/mem" % pid, "rb", 0) as memory:
            memory.seek(args[2])
            return opens_to_change(struct.unpack("<Q", memory.read(8))[0])
    if number == 16:
        return (args[1] & 0xFFFFFFFF) in CHANGING_IOCTLS
    return True


def entered(tid):
    """Number and arguments of the call that a thread is about to make; None at the end of one."""
    info = ctypes.create_string_buffer(96)
    if ptrace(SYSCALL_INFO, tid, len(info), ctypes.addressof(info)) <= 0 or info.raw[0] != 1:
        return None
    number, *args = struct.unpack_from("<7Q", info.raw, 24)
    return number, args


def main():
    pid = int(sys.argv[1])
    for name in os.listdir("/proc/%d/task" % pid):
        if ptrace(SEIZE, int(name), 0, TRACESYSGOOD | TRACECLONE) < 0:
            sys.exit("ptrace %s: %s" % (name, os.strerror(ctypes.get_errno())))
        ptrace(INTERRUPT, int(name))
    print(json.dumps(["ready"]), flush=True)
    failing = {}
    while True:
        try:
            tid, status = os.waitpid(-1, WALL)
        except ChildProcessError:
            return
        if not os.WIFSTOPPED(status):
            continue
        sig = os.WSTOPSIG(status)
        if sig == signal.SIGTRAP | 0x80:
            call = entered(tid)
            if call is None and tid in failing:
                ptrace(POKEUSER, tid, RAX, -failing.pop(tid) & 0xFFFFFFFFFFFFFFFF)
            if call is not None and changes(pid, *call):
                print(json.dumps([NAMES.get(call[0], "call %d" % call[0]), call[1][4]]), flush=True)
                answer = sys.stdin.readline().split()
                if not answer:
                    return
                if answer[0] == "kill":
                    os.kill(pid, signal.SIGKILL)
                elif answer[0] == "fail":
                    failing[tid] = int(answer[1])
                    ptrace(POKEUSER, tid, ORIG_RAX, 0xFFFFFFFFFFFFFFFF)
            ptrace(SYSCALL, tid)
        elif status >> 16 == 128:  # PTRACE_EVENT_STOP: our interrupt, a new thread, or a group stop
            ptrace(LISTEN if sig in STOPS else SYSCALL, tid)
        elif status >> 16:
            ptrace(SYSCALL, tid)
        else:
            ptrace(SYSCALL, tid, 0, sig)


main()
