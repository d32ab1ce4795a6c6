# What happens on the disk that loses its power, and what must be true of it afterwards. `work.py do DIR` changes a mounted
# tree step by step; a line `mark NAME` says that a step's fsync has returned, and waits for a line. `work.py check DIR NAME...`
# looks at a tree mounted after the loss: every object is wholly old or wholly new, and new where its mark had been reached.
# Prints what is wrong. `work.py lower DIR` makes the lower layer, `work.py lazy DIR` does the same work without any fsync
# but those that programs need for a replacement of their own. Called by power-loss.test.ts.

import ctypes
import os
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)
RENAME_EXCHANGE = 2


def content(name, size=9000):
    """Bytes that are nobody else's, so that a mixture shows."""
    line = f'{name} '.encode()
    return (line * (size // len(line) + 1))[:size]


def write(path, body, mode=0o644):
    with open(path, 'wb') as file:
        file.write(body)
    os.chmod(path, mode)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


lazy = False


def sync_fd(fd):
    if not lazy:
        os.fsync(fd)


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    sync_fd(fd)
    os.close(fd)


def there(path):
    return os.path.lexists(path)


class Step:
    """`old` is the lower's content; `change` ends with an fsync; `faults(done)` are what is wrong, `done` after the mark."""

    def __init__(self, name):
        self.name = name

    def old(self):
        write(self.name, content(self.name))


class Chmod(Step):
    def change(self):
        os.chmod(self.name, 0o600)
        sync(self.name)

    def faults(self, done):
        if read(self.name) != content(self.name):
            yield 'its content changed with its mode'
        mode = stat.S_IMODE(os.stat(self.name).st_mode)
        if mode not in (0o600,) + (() if done else (0o644,)):
            yield f'mode {mode:o}'


class BigChmod(Chmod):
    """Long enough to be copied on a thread."""

    def old(self):
        write(self.name, content(self.name, 3 << 20))

    def faults(self, done):
        if read(self.name) != content(self.name, 3 << 20):
            yield 'its content changed with its mode'


class Append(Step):
    def change(self):
        fd = os.open(self.name, os.O_WRONLY | os.O_APPEND)
        os.write(fd, b'tail' * 2000)
        sync_fd(fd)
        os.close(fd)

    def faults(self, done):
        now, new = read(self.name), content(self.name) + b'tail' * 2000
        if now != new and (done or not now.startswith(content(self.name))):
            yield f'{len(now)} bytes that are neither old nor new'


class Truncate(Step):
    def change(self):
        fd = os.open(self.name, os.O_WRONLY)
        os.ftruncate(fd, 100)
        sync_fd(fd)
        os.close(fd)

    def faults(self, done):
        now, old = read(self.name), content(self.name)
        if now != old[:100] and (done or now != old):
            yield f'{len(now)} bytes that are neither old nor new'


class Replace(Step):
    """The way of editors: a new file, fsync, rename over the old one."""

    def change(self):
        fd = os.open(self.name + '.new', os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, content('new'))
        os.fsync(fd)
        os.close(fd)
        os.rename(self.name + '.new', self.name)
        sync('.')

    def faults(self, done):
        now = read(self.name)
        if now != content('new') and (done or now != content(self.name)):
            yield f'{len(now)} bytes that are neither old nor new'


class Rename(Step):
    def change(self):
        os.rename(self.name, self.name + '.moved')
        sync('.')

    def faults(self, done):
        names = [each for each in (self.name, self.name + '.moved') if there(each)]
        if len(names) != 1 or (done and names != [self.name + '.moved']):
            yield f'its names are {names}'
        for each in names:
            yield from self.same(each)

    def same(self, name):
        if read(name) != content(self.name):
            yield f'{name} is not what it was'


class RenameDirectory(Rename):
    def old(self):
        os.mkdir(self.name)
        os.mkdir(self.name + '/sub')
        for each in ('a', 'sub/b'):
            write(f'{self.name}/{each}', content(each))

    def same(self, name):
        for each in ('a', 'sub/b'):
            if read(f'{name}/{each}') != content(each):
                yield f'{name}/{each} is not what it was'


class Unlink(Step):
    def change(self):
        os.unlink(self.name)
        sync('.')

    def faults(self, done):
        if there(self.name) and (done or read(self.name) != content(self.name)):
            yield 'it is there'


class MakeAnew(Step):
    """A directory that replaces a lower one shows nothing of it."""

    def old(self):
        os.mkdir(self.name, 0o755)
        write(self.name + '/inner', content('inner'))

    def change(self):
        os.unlink(self.name + '/inner')
        os.rmdir(self.name)
        os.mkdir(self.name, 0o711)
        sync('.')

    def faults(self, done):
        if not there(self.name):
            if done:
                yield 'it is gone'
            return
        new = stat.S_IMODE(os.stat(self.name).st_mode) == 0o711
        if done and not new:
            yield 'it is the old one'
        if new and os.listdir(self.name):
            yield 'the new one shows the old ones files'


class Linked(Step):
    """Two names of one lower file."""

    def old(self):
        write(self.name, content(self.name))
        os.link(self.name, self.name + '.other')

    def change(self):
        fd = os.open(self.name, os.O_WRONLY)
        os.pwrite(fd, b'X' * 9000, 0)
        sync_fd(fd)
        os.close(fd)

    def faults(self, done):
        one, other = read(self.name), read(self.name + '.other')
        if one != other:
            yield 'its names show two contents'
        if done and one != b'X' * 9000:
            yield 'what was synced is lost'
        if len(one) != 9000:
            yield f'{len(one)} bytes'
        if os.stat(self.name).st_nlink != 2 or os.stat(self.name).st_ino != os.stat(self.name + '.other').st_ino:
            yield 'its names are no longer one file'


class Exchange(Step):
    def old(self):
        write(self.name, content(self.name))
        write(self.name + '.peer', content('peer'))

    def change(self):
        if libc.renameat2(-100, self.name.encode(), -100, f'{self.name}.peer'.encode(), RENAME_EXCHANGE) < 0:
            raise OSError(ctypes.get_errno(), 'renameat2')
        sync('.')

    def faults(self, done):
        now = [read(self.name), read(self.name + '.peer')]
        new = [content('peer'), content(self.name)]
        if now != new and (done or now != new[::-1]):
            yield 'neither exchanged nor as they were'


class Attribute(Step):
    def change(self):
        os.setxattr(self.name, 'user.mark', b'value')
        sync(self.name)

    def faults(self, done):
        if read(self.name) != content(self.name):
            yield 'its content changed with its attributes'
        if done and 'user.mark' not in os.listxattr(self.name):
            yield 'the attribute is lost'


KINDS = [Chmod, BigChmod, Append, Truncate, Replace, Rename, RenameDirectory, Unlink, MakeAnew, Linked, Exchange, Attribute]
# Each in a directory of both layers, and in one that only the lower has.
STEPS = [(place, kind(kind.__name__.lower())) for place in ('.', 'deep/er') for kind in KINDS]


def within(place, act):
    start = os.getcwd()
    os.chdir(place)
    result = act()
    os.chdir(start)
    return result


def label(place, step):
    return f'{place}/{step.name}'


def main(mode, directory, *marks):
    global lazy
    lazy = mode == 'lazy'
    os.chdir(directory)
    if mode == 'lower':
        os.makedirs('deep/er')
    for place, step in STEPS:
        name = label(place, step)
        if mode == 'lower':
            within(place, step.old)
        elif mode in ('do', 'lazy'):
            within(place, step.change)
        else:
            for fault in within(place, lambda: list(step.faults(name in marks))):
                print(f'{name}: {fault}')
        if mode == 'do':
            print(f'mark {name}', flush=True)
            sys.stdin.readline()
    os.chdir('/')


main(*sys.argv[1:])
