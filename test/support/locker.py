# Takes and releases locks as told, a JSON line each; answers a line each. Started by locks.test.ts, one process an owner.
#   {"op": "open", "path": P, "mode": "r"|"r+"}  {"op": "lock", "kind": "posix"|"ofd"|"flock", "type": "r"|"w"|"u",
#   "start": N, "length": N, "wait": BOOL, "alarm": SECONDS}  {"op": "get"}  {"op": "close"}  {"op": "fork-close"}
import errno, fcntl, json, os, signal, struct, sys

OFD = {"get": 36, "set": 37, "wait": 38}
POSIX = {"get": fcntl.F_GETLK, "set": fcntl.F_SETLK, "wait": fcntl.F_SETLKW}
TYPES = {"r": fcntl.F_RDLCK, "w": fcntl.F_WRLCK, "u": fcntl.F_UNLCK}
files = []


def late(*_):
    raise InterruptedError(errno.EINTR, "alarm")


def fcntl_lock(table, how, request, kind):
    lock = struct.pack("hhqqi4x", TYPES[kind], os.SEEK_SET, request.get("start", 0), request.get("length", 0), 0)
    found = fcntl.fcntl(files[-1], table[how], lock)
    return struct.unpack("hhqqi4x", found)


def run(request):
    op = request["op"]
    if op == "open":
        files.append(os.open(request["path"], os.O_RDWR if request.get("mode", "r+") == "r+" else os.O_RDONLY))
        return "ok"
    if op == "close":
        os.close(files.pop())
        return "ok"
    if op == "fork-close":
        # A child that only shares the descriptions and closes nothing: its parent's locks are the parent's.
        ready, done = os.pipe()
        if os.fork() == 0:
            os.close(done)
            os.read(ready, 1)
            os._exit(0)
        files.append(done)
        os.close(ready)
        files.insert(0, files.pop())
        return "ok"
    if op == "get":
        found = fcntl_lock(POSIX, "get", request, request.get("type", "w"))
        return "free" if found[0] == fcntl.F_UNLCK else [{v: k for k, v in TYPES.items()}[found[0]], found[2], found[3], found[4]]
    if request.get("alarm"):
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, request["alarm"])
    how = "wait" if request.get("wait") else "set"
    if request["kind"] == "flock":
        wanted = {"r": fcntl.LOCK_SH, "w": fcntl.LOCK_EX, "u": fcntl.LOCK_UN}[request["type"]]
        fcntl.flock(files[-1], wanted | (0 if how == "wait" else fcntl.LOCK_NB))
    else:
        fcntl_lock(OFD if request["kind"] == "ofd" else POSIX, how, request, request["type"])
    return "ok"


for line in sys.stdin:
    try:
        answer = run(json.loads(line))
    except OSError as error:
        answer = "EDEADLK" if error.errno == errno.EDEADLK else errno.errorcode[error.errno]
    print(json.dumps(answer), flush=True)
