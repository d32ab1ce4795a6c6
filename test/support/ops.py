"""Runs filesystem operations for the tests, so that no test process ever touches a mount it might be serving.

Reads one JSON request a line: {"id", "cwd", "ops": [...]}; writes one line for each result, [id, index, result], and
[id, -1, null] at the end. A result is {"v": value}, {"e": errno name} or {"x": what broke in this program}.
Strings are bytes in latin1. The operations and their arguments are listed in ops.ts. Started by worker.ts.
"""
import errno
import json
import os
import shutil
import subprocess
import sys

import ops_attributes
import ops_data
import ops_maps
import ops_names
import ops_objects
import ops_posix
import ops_processes
from ops_state import b, fds, inos, maps, programs, s, stamps
from ops_tree import op_tree


def op_run(o):
    done = subprocess.run([b(a) for a in o["argv"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=15)
    return [done.returncode, s(done.stdout)]


def op_chdir(o):
    os.chdir(b(o["path"]))


def op_all(o):
    """Runs a list and gives the values; stops with an explanation at the first that fails."""
    out = []
    for inner in o["ops"]:
        result = run(inner)
        if "v" not in result:
            raise ValueError("%s of %s" % (result, inner))
        out.append(result["v"])
    return out


def op_while_running(o):
    """What an operation on a program ends with while that program runs."""
    shutil.copy(shutil.which("sleep"), b(o["path"]))
    os.chmod(b(o["path"]), 0o755)
    child = subprocess.Popen([b"./" + b(o["path"]), b"60"])
    try:
        result = run(o["inner"])
        return result.get("e", result.get("x", "ok"))
    finally:
        child.kill()
        child.wait()


def op_fork_here(o):
    return ops_processes.fork(o, run)


def op_pass(o):
    """An open file of process `proc` becomes one of process `to` as well, as by SCM_RIGHTS."""
    given = run({"op": "give", "proc": o["from"], "fd": o["fd"]})
    return given if "v" not in given else run({"op": "take", "proc": o["to"], "as": o["as"]})


def run(o):
    """Runs an operation, in the process that it names."""
    if o["op"] == "fork":
        return ops_processes.begin(o, run)
    if o["op"] == "pass":
        return op_pass(o)
    return ops_processes.ask(o["proc"], o) if o.get("proc") else run_here(o)


def run_here(o):
    # Of a process that has left root for good, the user is not to be changed.
    user = o.get("user") if os.geteuid() == 0 else None
    if user is not None:
        os.setgroups(user[2:])
        os.setegid(user[1])
        os.seteuid(user[0])
    try:
        value = OPERATIONS[o["op"]](o if "inner" not in o and "between" not in o else {**o, "run": run})
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
    for name in list(programs):
        ops_objects.stop(name)
    ops_processes.end_all()
    for fd in fds.values():
        try:
            os.close(fd)
        except OSError:
            pass
    fds.clear()
    for name in list(maps):
        ops_maps.unmap(name)
    inos.clear()
    stamps.clear()
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


OPERATIONS = {name[3:]: function for module in
              (ops_attributes, ops_data, ops_maps, ops_names, ops_objects, ops_posix, ops_processes, sys.modules[__name__])
              for name, function in vars(module).items() if name.startswith("op_")}

main()
