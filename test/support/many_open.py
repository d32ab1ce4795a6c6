"""Has many files open at once: many_open.py DIRECTORY FILES REMOVED. In processes of 10,000 each, it opens half of FILES for
reading (f0 to f99, which say "lower" and their number) and makes the other half, removes REMOVED of those, then reads all of
them in random order, writes the new ones again and asks for their size. Prints JSON: what was wrong, errnos of removals."""

import json
import multiprocessing
import os
import random
import resource
import sys

EACH = 10_000
directory, files, removed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def name(i):
    return f"{directory}/new{i}"


def content(i):
    return b"made %d" % i if i % 2 == 0 else b"lower %d" % (i % 100)


def opened(i):
    if i % 2:
        return os.open(f"{directory}/f{i % 100}", os.O_RDONLY)
    fd = os.open(name(i), os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.write(fd, content(i))
    return fd


def attempt(wrong, what, action):
    try:
        return action()
    except OSError as error:
        wrong.append(f"{what}: {error.strerror}")
        return None


def work(first, last, barrier, results):
    wrong, refused = [], {}
    fds = {i: attempt(wrong, f"open {i}", lambda i=i: opened(i)) for i in range(first, last)}
    barrier.wait()
    for i in range(first, min(last, 2 * removed)):
        if i % 2 == 0:
            try:
                os.unlink(name(i))
            except OSError as error:
                refused[error.errno] = refused.get(error.errno, 0) + 1
    barrier.wait()
    order = [i for i in fds if fds[i] is not None]
    random.Random(first).shuffle(order)
    for i in order:
        got = attempt(wrong, f"read {i}", lambda: os.pread(fds[i], 100, 0))
        if got is not None and got != content(i):
            wrong.append(f"{i} holds {got!r}")
        if i % 2 == 0:
            attempt(wrong, f"write {i}", lambda: os.pwrite(fds[i], content(i), 0))
            size = attempt(wrong, f"fstat {i}", lambda: os.fstat(fds[i]).st_size)
            if size is not None and size != len(content(i)):
                wrong.append(f"{i} has {size} bytes")
    barrier.wait()
    results.put((len(wrong), wrong[:3], refused))


def main():
    limit = EACH + 100
    hard = max(resource.getrlimit(resource.RLIMIT_NOFILE)[1], limit)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    starts = range(0, files, EACH)
    barrier, results = multiprocessing.Barrier(len(starts)), multiprocessing.Queue()
    children = [multiprocessing.Process(target=work, args=(at, min(at + EACH, files), barrier, results)) for at in starts]
    for child in children:
        child.start()
    total, wrong, refused = 0, [], {}
    for _ in children:
        count, some, errnos = results.get()
        total, wrong = total + count, wrong + some
        for errno, times in errnos.items():
            refused[errno] = refused.get(errno, 0) + times
    for child in children:
        child.join()
    print(json.dumps({"wrong": total, "some": wrong[:5], "refused": refused}))


main()
