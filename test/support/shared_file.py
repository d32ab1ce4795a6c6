"""One file by several paths, exercised at random in turns and compared with a model in memory. Started by
shared-file.test.ts: arguments are a JSON object {"places": {name: path}, "seed", "steps", "coherent"}; prints a JSON report.

Each turn one place reads, writes, maps, truncates, punches or copies, and another looks at once whether it is there.
`coherent`: the places share one page cache, so maps stay; otherwise a map is written back and given up in its turn.
"""
import collections
import ctypes
import fcntl
import json
import mmap
import os
import random
import sys

import ops_maps
from ops_state import check, fds, libc, maps

PAGE, MOST = mmap.PAGESIZE, 192 * 1024
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
# Page-aligned, for O_DIRECT.
desk = mmap.mmap(-1, MOST)


class Wrong(Exception):
    pass


class Exercise:
    def __init__(self, places, seed, coherent):
        self.places, self.coherent = places, coherent
        self.names = sorted(places)
        self.random = random.Random(seed)
        self.model = bytearray()
        self.done = collections.Counter()
        for name in self.names:
            self.open(name)

    def open(self, name):
        for kind, flags in (("", 0), ("direct", os.O_DIRECT), ("append", os.O_APPEND)):
            if name + kind in fds:
                os.close(fds[name + kind])
            fds[name + kind] = os.open(self.places[name], os.O_RDWR | os.O_CREAT | flags, 0o644)

    def data(self, length):
        return self.random.randbytes(length)

    def span(self, limit, unit=1):
        """An offset and a length that end within `limit`, often at the edge of a page."""
        off = self.random.randrange(max(1, limit // unit)) * unit
        if unit == 1 and self.random.random() < 0.3:
            off = max(0, min(limit - 1, off // PAGE * PAGE + self.random.choice((-1, 0, 1))))
        room = max(0, limit - off)
        length = min(room, self.random.choice((1, 100, 512, PAGE, 5000, 3 * PAGE, 60000))) // unit * unit
        return off, length

    def put(self, off, data):
        if off > len(self.model):
            self.model.extend(bytes(off - len(self.model)))
        self.model[off:off + len(data)] = data

    def compare(self, what, found, off, length):
        expected = bytes(self.model[off:off + length])
        if found != expected:
            at = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), len(expected)))
            raise Wrong("%s: %d bytes at %d, not %d; differ from %d on: %s, not %s" % (
                what, len(found), off, len(expected), off + at, found[at:at + 8].hex(), expected[at:at + 8].hex()))

    def do_read(self, name):
        off, length = self.span(MOST)
        self.compare("read by " + name, os.pread(fds[name], length, off), off, length)
        return off, length

    def do_send(self, name):
        off, length = self.span(len(self.model))
        self.hear_size(name)
        os.ftruncate(ops_maps.desk, 0)
        os.lseek(ops_maps.desk, 0, os.SEEK_SET)
        sent = 0
        while sent < length:
            n = os.sendfile(ops_maps.desk, fds[name], off + sent, length - sent)
            if n == 0:
                break
            sent += n
        self.compare("sendfile by " + name, os.pread(ops_maps.desk, length, 0), off, length)
        return off, length

    def do_direct_read(self, name):
        off, length = self.span(MOST, PAGE)
        n = check(libc.pread(fds[name + "direct"], self.address(), length, off))
        self.compare("direct read by " + name, desk[:n], off, length)
        return off, length

    def do_write(self, name):
        off, length = self.span(MOST)
        data = self.data(length)
        os.pwrite(fds[name], data, off)
        self.put(off, data)
        return off, length

    def do_direct_write(self, name):
        off, length = self.span(MOST, PAGE)
        data = self.data(length)
        desk[:length] = data
        check(libc.pwrite(fds[name + "direct"], self.address(), length, off))
        if length:
            self.put(off, data)
        return off, length

    def do_append(self, name):
        length = min(MOST - len(self.model), self.random.choice((1, 700, PAGE)))
        data = self.data(length)
        os.write(fds[name + "append"], data)
        self.model.extend(data)
        return len(self.model) - length, length

    def do_truncate(self, name):
        size = self.random.choice((0, self.random.randrange(MOST), len(self.model) // PAGE * PAGE, len(self.model) // 2))
        by = fds[name] if self.random.random() < 0.5 else self.places[name]
        os.truncate(by, size)
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))
        return max(0, size - 100), 200

    def do_map_read(self, name):
        off, length = self.span(len(self.model))
        self.through_map(name, lambda: self.compare("map of " + name, self.seen(name, off, length), off, length))
        return off, length

    def do_map_write(self, name):
        off, length = self.span(len(self.model))
        data = self.data(length)

        def write():
            os.ftruncate(ops_maps.desk, 0)
            os.pwrite(ops_maps.desk, data, 0)
            if check(libc.pread(ops_maps.desk, maps[name][0] + off, length, 0)) != length:
                raise Wrong("a map of %s ends before the file" % name)

        self.through_map(name, write)
        self.model[off:off + length] = data
        return off, length

    def do_punch(self, name):
        off, length = self.span(MOST)
        mode = self.random.choice((PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE, 0, KEEP_SIZE))
        if length == 0:
            return off, 0
        check(libc.fallocate(fds[name], mode, off, length))
        end = off + length
        if not mode & KEEP_SIZE and end > len(self.model):
            self.model.extend(bytes(end - len(self.model)))
        if mode & (PUNCH_HOLE | ZERO_RANGE):
            upto = min(end, len(self.model))
            self.model[off:upto] = bytes(max(0, upto - off))
        return off, length

    def do_copy(self, name):
        off, length = self.span(len(self.model))
        to = self.random.randrange(MOST)
        # From one filesystem type to another is EXDEV.
        other = name if name == "host" else self.random.choice([each for each in self.names if each != "host"])
        length = min(length, MOST - to, abs(to - off))
        self.hear_size(name)
        while length > 0:
            n = os.copy_file_range(fds[name], fds[other], length, off, to)
            if n <= 0 or n > length:
                raise Wrong("copy_file_range from %s to %s gave %d of %d" % (name, other, n, length))
            self.put(to, bytes(self.model[off:off + n]))
            off, to, length = off + n, to + n, length - n
        return max(0, to - 300), 600

    def do_reopen(self, name):
        self.open(name)
        return 0, PAGE

    def do_sync(self, name):
        os.fsync(fds[name])
        return 0, PAGE

    def do_lock(self, name):
        fcntl.flock(fds[name], fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(fds[name], fcntl.LOCK_UN)
        return 0, 1

    def address(self):
        return ctypes.addressof(ctypes.c_char.from_buffer(desk))

    def seen(self, name, off, length):
        os.ftruncate(ops_maps.desk, 0)
        n = check(libc.pwrite(ops_maps.desk, maps[name][0] + off, length, 0))
        return os.pread(ops_maps.desk, n, 0)

    def hear_size(self, name):
        """As cp(1) and whoever maps a file does: the kernel copies and maps up to the size that it last heard of, and in relay
        drops what a map or a splice has cached when it hears of a change (Linux: generic_copy_file_checks,
        fuse_change_attributes_i)."""
        os.fstat(fds[name])

    def through_map(self, name, use):
        if name not in maps:
            self.hear_size(name)
            ops_maps.op_mmap({"as": name, "fd": name, "len": MOST, "prot": "rw", "shared": True})
        use()
        if not self.coherent:
            ops_maps.op_msync({"map": name})
        if not self.coherent or self.random.random() < 0.1:
            ops_maps.unmap(name)

    def look(self, name, off, length):
        """What a turn did is seen by another place, in the size and around the place it was done at."""
        size = os.fstat(fds[name]).st_size
        if size != len(self.model):
            raise Wrong("%s says %d bytes, not %d" % (name, size, len(self.model)))
        off = max(0, off - 50)
        self.compare("seen by " + name, os.pread(fds[name], length + 100, off), off, length + 100)

    def turn(self):
        works = ("read", "send", "direct_read", "write", "write", "direct_write", "append", "truncate", "map_read", "map_write",
                 "map_write", "punch", "copy", "copy", "reopen", "sync", "lock")
        work, name = self.random.choice(works), self.random.choice(self.names)
        if work in ("map_read", "map_write", "copy") and not self.model:
            work = "write"
        self.now = "%s by %s" % (work, name)
        off, length = getattr(self, "do_" + work)(name)
        self.now += " at %d, %d bytes" % (off, length)
        self.done[work] += 1
        self.look(self.random.choice(self.names), off, length)


def main(places, seed, steps, coherent):
    exercise = Exercise(places, seed, coherent)
    recent = collections.deque(maxlen=12)
    for step in range(steps):
        try:
            exercise.turn()
            if step % 50 == 49 or step == steps - 1:
                for name in exercise.names:
                    exercise.look(name, 0, MOST)
        except (Wrong, OSError) as cause:
            return {"wrong": "step %d, %s: %s" % (step, exercise.now, cause), "before": list(recent)}
        recent.append(exercise.now)
    return {"steps": sum(exercise.done.values()), "done": exercise.done}


print(json.dumps(main(**json.loads(sys.argv[1]))))
