"""Works through one huge directory: huge_directory.py DIRECTORY NAMES. It holds f0 to fNAMES on a lower layer. Prints JSON:
microseconds for each entry of every step."""

import json
import os
import sys
import time

directory, names = sys.argv[1], int(sys.argv[2])
steps = {}


def step(name, action):
    start = time.monotonic()
    count = action()
    if count != names:
        sys.exit(f"{name}: {count} of {names} entries")
    steps[name] = round((time.monotonic() - start) / names * 1e6, 1)


def listed(prefix):
    with os.scandir(directory) as entries:
        return sum(entry.name.startswith(prefix) for entry in entries)


def each(action):
    for i in range(names):
        action(i)
    return names


def make(i):
    os.close(os.open(f"{directory}/n{i}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def absent(i):
    try:
        os.stat(f"{directory}/x{i}")
    except FileNotFoundError:
        return
    sys.exit(f"x{i} exists")


step("list", lambda: listed("f"))
step("stat", lambda: each(lambda i: os.stat(f"{directory}/f{i}")))
step("absent", lambda: each(absent))
step("create", lambda: each(make))
step("list both", lambda: listed("n"))
step("unlink new", lambda: each(lambda i: os.unlink(f"{directory}/n{i}")))
step("unlink lower", lambda: each(lambda i: os.unlink(f"{directory}/f{i}")))
os.rmdir(directory)
print(json.dumps(steps))
