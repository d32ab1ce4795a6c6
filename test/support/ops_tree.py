"""The whole of a tree as a user can see it. Called by ops.py."""
import errno
import json
import os

from ops_attributes import describe
from ops_data import op_cat
from ops_objects import op_getflags
from ops_state import b, s


def line_of(name, rel, first):
    """What is to be said of one object of the current directory, and its type."""
    st = os.lstat(name)
    line = describe(st)
    kind = line.pop("type")
    here = name.decode("latin1")
    if kind == "symlink":
        line["target"] = s(os.readlink(name))
    if kind == "file":
        line["data"] = op_cat({"path": here})
    if kind in ("file", "dir"):
        flags = flags_at(here)
        if flags:
            line["flags"] = flags
    if kind != "dir" and st.st_nlink > 1:
        line["same"] = first.setdefault(st.st_ino, rel)
    for attribute in sorted(n for n in os.listxattr(name, follow_symlinks=False) if n != "security.selinux"):
        line[attribute] = value_of(name, attribute)
    return kind, line


def value_of(name, attribute):
    """The value, or why it cannot be read: one that is no capability is refused under that name."""
    try:
        return s(os.getxattr(name, attribute, follow_symlinks=False))
    except OSError as e:
        return errno.errorcode[e.errno]


def flags_at(name):
    try:
        return op_getflags({"path": name})
    except OSError as e:
        if e.errno not in (errno.ENOTTY, errno.EOPNOTSUPP):
            raise
        return ""


def visit(name, rel, out, first):
    kind, line = line_of(name, rel, first)
    out[rel] = kind + " " + json.dumps(line, sort_keys=True)
    if kind != "dir":
        return
    # By steps: a tree may be deeper than a path can say.
    os.chdir(name)
    for each in sorted(os.listdir(b".")):
        visit(each, rel + "/" + each.decode("latin1") if rel else each.decode("latin1"), out, first)
    os.chdir(b"..")


def op_tree(o):
    """Everything below a path, one text line an object, by path; hard links by their first name."""
    out, first, home = {}, {}, os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        os.chdir(b(o["path"]))
        kind, line = line_of(b".", "", first)
        out[""] = kind + " " + json.dumps(line, sort_keys=True)
        for each in sorted(os.listdir(b".")):
            visit(each, each.decode("latin1"), out, first)
        return out
    finally:
        os.fchdir(home)
        os.close(home)
