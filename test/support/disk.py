# A disk that writes down what it is told: one file, served by FUSE at POINT, to be put under a loop device. Every write and
# every flush goes to LOG in the order in which they came; a line on stdin is entered as a mark and answered with a line.
# LOG: records of kind (B), offset (Q), length (I), then the data: 1 a write, 2 a flush, 3 a mark. Attributes of any name can
# be set, by anybody, and are forgotten. Called by power-loss.test.ts, and by routes.test.ts for its attributes.

import ctypes
import errno
import os
import select
import struct
import sys

base, log_path, point = sys.argv[1:4]
data = bytearray(open(base, 'rb').read())
log = open(log_path, 'wb')
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
options = f'fd={fuse},rootmode=100000,user_id=0,group_id=0,allow_other'
if libc.mount(b'disk', point.encode(), b'fuse.lamina-disk', 0, options.encode()) < 0:
    sys.exit(f'mount: {os.strerror(ctypes.get_errno())}')

MAX_WRITE = 128 << 10
BIG_WRITES = 1 << 5
DIRECT_IO = 1


def enter(kind, offset=0, body=b''):
    log.write(struct.pack('<BQI', kind, offset, len(body)) + body)
    log.flush()


def attributes():
    times = struct.pack('<QQQIII', 0, 0, 0, 0, 0, 0)
    return struct.pack('<QQQ', 1, len(data), len(data) // 512) + times + struct.pack('<IIIIIII', 0o100600, 1, 0, 0, 0, 4096, 0)


def answer(opcode, body):
    """The reply's body, an errno, or None for no reply."""
    if opcode == 26:  # INIT
        minor = struct.unpack_from('<I', body, 4)[0]
        return struct.pack('<IIIIHHIIHHI', 7, min(minor, 31), 128 << 10, BIG_WRITES, 12, 9, MAX_WRITE, 1, 0, 0, 0) + bytes(24)
    if opcode in (3, 4):  # GETATTR, SETATTR
        return struct.pack('<QII', 1 << 30, 0, 0) + attributes()
    if opcode == 14:  # OPEN
        return struct.pack('<QII', 1, DIRECT_IO, 0)
    if opcode == 15:  # READ
        offset, size = struct.unpack_from('<QI', body, 8)
        return bytes(data[offset:offset + size])
    if opcode == 16:  # WRITE
        offset, size = struct.unpack_from('<QI', body, 8)
        written = body[40:40 + size]
        data[offset:offset + size] = written
        enter(1, offset, written)
        return struct.pack('<II', size, 0)
    if opcode == 20:  # FSYNC
        enter(2)
        return b''
    if opcode in (18, 21, 24, 25, 38):  # RELEASE, SETXATTR, REMOVEXATTR, FLUSH, DESTROY
        return b''
    if opcode in (2, 36, 42):  # FORGET, INTERRUPT, BATCH_FORGET
        return None
    if opcode == 17:  # STATFS
        return bytes(80)
    return errno.ENOSYS


print('ready', flush=True)
marks = True
while True:
    ready, _, _ = select.select([fuse, 0] if marks else [fuse], [], [])
    if 0 in ready:
        line = sys.stdin.readline()
        if line:
            enter(3, 0, line.strip().encode())
            print('marked', flush=True)
        else:
            marks = False
    if fuse not in ready:
        continue
    try:
        request = os.read(fuse, MAX_WRITE + 4096)
    except OSError as error:
        if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
            continue
        sys.exit(0)  # unmounted
    opcode, unique = struct.unpack_from('<IQ', request, 4)
    reply = answer(opcode, request[40:])
    if reply is None:
        continue
    failed = reply if isinstance(reply, int) else 0
    body = b'' if failed else reply
    os.write(fuse, struct.pack('<IiQ', 16 + len(body), -failed, unique) + body)
