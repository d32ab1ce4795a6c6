"""Further processes of a case: each with its own fds, maps, directory, umask and user. Called by ops.py.

An operation with a `proc` is run by that process; one at a time, in the order of the case, so that a case is the same
each time. Process 0 is the one that reads requests. A process ends when the case does, or when its place is taken.
"""
import json
import os
import select
import signal
import socket

from ops_state import fds, libc, null, programs

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
OTHERS = (1, 2)
# Made before any process is: whoever forks, the lines to process 0 and the post between all are there.
lines = {number: socket.socketpair() for number in OTHERS}
post = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
pids = {}


def become(user):
    """For good, with no way back: unlike the user of a single operation, the process loses root's capabilities."""
    os.setgroups(user[2:])
    os.setresgid(user[1], user[1], user[1])
    os.setresuid(user[0], user[0], user[0])
    # A process that changed its user may not look at its own /proc/self/fd otherwise.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def serve(number, user, run):
    """The life of a forked process: it never returns."""
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for ours, _ in lines.values():
        ours.close()
    programs.clear()
    if user is not None and os.geteuid() == 0:
        become(user)
    line = lines[number][1].makefile("rw")
    for text in line:
        line.write(json.dumps(run(json.loads(text))) + "\n")
        line.flush()
    os._exit(0)


def ask(number, o):
    if number not in pids:
        return {"e": "ESRCH"}
    lines[number][0].sendall(json.dumps({**o, "proc": None}).encode() + b"\n")
    text = b""
    while not text.endswith(b"\n"):
        more = lines[number][0].recv(1 << 16)
        if not more:
            return {"x": "process %d ended" % number}
        text += more
    return json.loads(text)


def end(number):
    """Kills a process and waits until its files are closed, whoever its parent is."""
    if number not in pids:
        return
    handle = os.pidfd_open(pids.pop(number))
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    select.select([handle], [], [])
    os.close(handle)


def fork(o, run):
    """Run by the process that forks: gives the pid of the new one."""
    pid = os.fork()
    if pid == 0:
        if o["op"] == "fork":
            os.chroot(".")  # it may go up as it likes and stays in the case's directory
        try:
            serve(o["as"], o.get("user"), run)
        finally:
            os._exit(1)
    return pid


def begin(o, run):
    """`as` becomes a copy of process `proc`, with its open files, maps, directory and umask."""
    end(o["as"])
    made = ask(o["proc"], {**o, "op": "fork_here"}) if o.get("proc") else {"v": fork(o, run)}
    if "v" not in made:
        return made
    pids[o["as"]] = made["v"]
    return {"v": None}


def op_give(o):
    """An open file goes into the post."""
    socket.send_fds(post[0], [b"f"], [fds[o["fd"]]])


def op_take(o):
    _, got, _, _ = socket.recv_fds(post[1], 1, 1, socket.MSG_DONTWAIT)
    if o["as"] in fds:
        os.close(fds[o["as"]])
    fds[o["as"]] = got[0]


def end_all():
    """Ends every process, and the programs that they started and left."""
    for number in OTHERS:
        end(number)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with open("/proc/self/task/%d/children" % os.getpid()) as file:
        left = [int(pid) for pid in file.read().split()]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
