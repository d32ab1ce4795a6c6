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
import ops_names
import ops_posix
from ops_attributes import describe
from ops_data import op_cat
from ops_state import b, fds, inos, maps, s, stamps


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


def run(o):
    user = o.get("user")
    if user is not None:
        os.setgroups(user[2:])
        os.setegid(user[1])
        os.seteuid(user[0])
    try:
        value = OPERATIONS[o["op"]](o)
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


OPERATIONS = {name[3:]: function for module in (ops_attributes, ops_data, ops_names, ops_posix, sys.modules[__name__])
              for name, function in vars(module).items() if name.startswith("op_")}

main()
