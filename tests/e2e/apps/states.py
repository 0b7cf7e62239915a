# SPDX-License-Identifier: BSD-2-Clause
"""One application that waits in every way a request can wait, and measures it itself.

The path says how: /WAY/A/B[/EXTRA]/UID. Around the mark lies `Outer`, which logs one JSON line per
request to E2E_ORACLE with three clocks of the thread: wall, CPU, and how long it has waited for a
CPU (/proc/self/task/TID/schedstat). `op` is the same for the one operation that the way is about.
Imports no test code: it runs in the servers.
"""
import contextlib
import gc
import json
import mmap
import os
import select
import socket
import sys
import threading
import time

if "E2E_SWITCH" in os.environ:
    sys.setswitchinterval(float(os.environ["E2E_SWITCH"]))

FILE = os.environ["E2E_FILE"]
schedstats = {}
lock = threading.Lock()
database = None


def run_delay_ns():
    tid = threading.get_native_id()
    if tid not in schedstats:
        schedstats[tid] = os.open("/proc/self/task/%d/schedstat" % tid, os.O_RDONLY)
    return int(os.pread(schedstats[tid], 64, 0).split()[1])


def clocks():
    """Wall, CPU, run delay in ns: the span's first reading."""
    return time.monotonic_ns(), time.thread_time_ns(), run_delay_ns()


def since(before):
    """[start, end, CPU, run delay]. Read the other way round than at the start, so that the thread
    spends what it loses between two readings in the wall time and nowhere else."""
    delay, cpu, wall = run_delay_ns(), time.thread_time_ns(), time.monotonic_ns()
    return [before[0], wall, cpu - before[1], delay - before[2]]


@contextlib.contextmanager
def op(entry):
    before = clocks()
    yield
    entry["op"] = since(before)


def spin(ms):
    end = time.thread_time_ns() + int(ms * 1e6)
    while time.thread_time_ns() < end:
        pass


def way_pid(environ, entry, a, b, extra):
    return [b"%d" % os.getpid()]


def way_sleep(environ, entry, a, b, extra):
    with op(entry):
        time.sleep(a / 1000)


def way_spin(environ, entry, a, b, extra):
    with op(entry):
        spin(a)


def way_collect(environ, entry, a, b, extra):
    """Collects a times; gc.callbacks, which lie around the interpreter's own marks, time it."""
    spans, since = [], []

    def watch(phase, info):
        if phase == "start":
            since.append(time.monotonic_ns())
        else:
            spans.append(time.monotonic_ns() - since.pop())
    gc.callbacks.append(watch)
    try:
        for _ in range(a):
            gc.collect()
    finally:
        gc.callbacks.remove(watch)
    entry["collections"] = spans
    return [b"collected"]


def way_spin_sleep(environ, entry, a, b, extra):
    """a, b: ms of CPU, then of sleep."""
    spin(a)
    time.sleep(b / 1000)


@contextlib.contextmanager
def pinned(cpu):
    """This thread only."""
    tid = threading.get_native_id()
    everywhere = os.sched_getaffinity(tid)
    os.sched_setaffinity(tid, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(tid, everywhere)


def way_contend(environ, entry, a, b, extra):
    """Spins a ms on CPU b."""
    with pinned(b), op(entry):
        spin(a)


def way_contend_sleep(environ, entry, a, b, extra):
    """Sleeps a times 2 ms on CPU b, and computes a little in between."""
    with pinned(b), op(entry):
        for _ in range(a):
            time.sleep(0.002)
            spin(0.2)


def way_database(environ, entry, a, b, extra):
    global database
    import psycopg2
    if database is None:
        database = psycopg2.connect(os.environ["E2E_DSN"])
        database.autocommit = True
    with database.cursor() as cursor, op(entry):
        cursor.execute("select pg_sleep(%s)", (a / 1000,))
        cursor.fetchall()


def wait_recv(sock):
    return sock.recv(100)


def wait_timeout(sock):
    sock.settimeout(10)
    return sock.recv(100)


def wait_poll(sock):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.poll(10000)
    return sock.recv(100)


def wait_select(sock):
    select.select([sock], [], [], 10)
    return sock.recv(100)


HIGH_FD = 300


def wait_select_high(sock):
    """A descriptor past the first word of the set."""
    select.select([HIGH_FD], [], [], 10)
    return sock.recv(100)


def wait_epoll(sock):
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLIN)
        epoll.poll(10)
    return sock.recv(100)


def wait_recv_into(sock):
    """recvmsg, and a file object's readinto: what http.client does."""
    with sock.makefile("rb") as stream:
        return stream.readline()


WAITS = {name[5:]: function for name, function in list(globals().items())
         if name.startswith("wait_")}


def way_upstream(environ, entry, a, b, extra):
    """A server on port b answers after a ms; extra: how to wait for it."""
    with socket.create_connection(("127.0.0.1", b)) as sock:
        if extra == "select_high":
            # Here, because the first one past the table's end waits until the table has grown.
            os.dup2(sock.fileno(), HIGH_FD)
        sock.sendall(b"%d\n" % a)
        with op(entry):
            assert WAITS[extra](sock) == b"done\n"
        if extra == "select_high":
            os.close(HIGH_FD)


def way_two_upstreams(environ, entry, a, b, extra):
    """20 ms on port a, then 60 ms on port b."""
    with socket.create_connection(("127.0.0.1", a)) as one, \
            socket.create_connection(("127.0.0.1", b)) as other:
        with op(entry):
            for sock, ms in ((one, 20), (other, 60)):
                sock.sendall(b"%d\n" % ms)
                assert sock.recv(100) == b"done\n"


def way_big(environ, entry, a, b, extra):
    """a KB in one block to the client."""
    def body():
        before = clocks()
        yield b"x" * (a * 1024)
        entry["op"] = since(before)
    return body()


def way_lock(environ, entry, a, b, extra):
    """Another thread holds the lock for a ms; extra: with a time-out or without. To start a
    thread and to join it is to wait on locks too."""
    held = threading.Event()

    def hold():
        with lock:
            held.set()
            time.sleep(a / 1000)

    with op(entry):
        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        assert lock.acquire(timeout=10 if extra == "timeout" else -1)
        lock.release()
        holder.join()


def way_body(environ, entry, a, b, extra):
    with op(entry):
        data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    assert len(data) == int(environ["CONTENT_LENGTH"])


def read_direct():
    size = 1 << 20
    with mmap.mmap(-1, size) as buffer:
        fd = os.open(FILE, os.O_RDONLY | os.O_DIRECT)
        try:
            offset = 0
            while (count := os.preadv(fd, [buffer], offset)) == size:
                offset += count
        finally:
            os.close(fd)


def drop_cache():
    fd = os.open(FILE, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    return fd


def read_dropped():
    fd = drop_cache()
    while os.read(fd, 1 << 20):
        pass
    os.close(fd)


def read_mapped():
    fd = drop_cache()
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as memory:
        sum(memory[offset] for offset in range(0, len(memory), 4096))
    os.close(fd)


def write_synced():
    path = FILE + ".written"
    for _ in range(10):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(fd, b"x" * 100_000)
        os.fsync(fd)
        os.close(fd)
    os.unlink(path)


def way_file(environ, entry, a, b, extra):
    """a times."""
    with op(entry):
        for _ in range(a):
            {"direct": read_direct, "dropped": read_dropped, "mapped": read_mapped,
             "synced": write_synced}[extra]()


def way_child(environ, entry, a, b, extra):
    """A child computes a ms while its parent waits; it knows nothing of the request's end."""
    with op(entry):
        pid = os.fork()
        if not pid:
            spin(a)
            os._exit(0)
        os.waitpid(pid, 0)


def way_pipe(environ, entry, a, b, extra):
    """Neither socket, nor file, nor lock."""
    reader, writer = os.pipe()

    def later():
        time.sleep(a / 1000)
        os.write(writer, b"x")

    thread = threading.Thread(target=later)
    thread.start()
    with op(entry):
        os.read(reader, 1)
    thread.join()
    os.close(reader)
    os.close(writer)


class Spinners:
    """Threads that want the GIL from go() until stop[0] is set."""

    def __init__(self, count, cpu=None):
        self.stop = bytearray(1)
        self.cpu = cpu
        self.event = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self):
        if self.cpu is not None:
            os.sched_setaffinity(threading.get_native_id(), {self.cpu})
        self.event.wait()
        stop = self.stop
        while not stop[0]:
            pass

    def go(self):
        self.event.set()


def way_gil_oracle(environ, entry, a, b, extra):
    """Takes the GIL a times against b threads, and times that itself."""
    import gil_oracle
    spinners = Spinners(b)
    entry["gil"] = gil_oracle.take(a, spinners.go, spinners.stop)


def way_gil_spin(environ, entry, a, b, extra):
    """Computes a ms against b threads; extra: all on that CPU. Blocked is waiting for the GIL."""
    cpu = int(extra) if extra else None
    spinners = Spinners(b, cpu)
    with pinned(cpu) if cpu is not None else contextlib.nullcontext():
        with op(entry):
            spinners.go()
            spin(a)
            spinners.stop[0] = 1


WAYS = {name[4:]: function for name, function in list(globals().items())
        if name.startswith("way_")}


def application(environ, start_response):
    entry = environ["e2e.entry"]
    before = clocks()
    _, way, a, b, *extra, _ = environ["PATH_INFO"].split("/")
    blocks = WAYS[way](environ, entry, int(a), int(b), extra[0] if extra else "") or [b"done"]
    headers = [("Content-Type", "text/plain")]
    if isinstance(blocks, list):
        headers.append(("Content-Length", str(sum(map(len, blocks)))))
    start_response("200 OK", headers)
    return body(entry, blocks, before)


def body(entry, blocks, before):
    """A generator: it has close(), so the end of the request is known."""
    try:
        yield from blocks
    finally:
        entry["inner"] = since(before)


class Outer:
    """Around the mark: all that the mark's request spent, and a few microseconds more."""

    def __init__(self, marked):
        self.marked = marked
        self.fd = os.open(os.environ["E2E_ORACLE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def __call__(self, environ, start_response):
        entry = {"path": environ["PATH_INFO"], "pid": os.getpid(),
                 "tid": threading.get_native_id()}
        environ["e2e.entry"] = entry
        before = clocks()
        entry["start_ns"] = before[0]
        return Result(self.fd, entry, self.marked(environ, start_response), before)


class Result:
    """Hands on the mark's blocks and logs when the server has closed it."""

    def __init__(self, fd, entry, result, before):
        self.fd = fd
        self.entry = entry
        self.result = result
        self.blocks = iter(result)
        self.before = before

    def __iter__(self):
        return self.blocks

    def close(self):
        self.result.close()
        if self.entry["tid"] == threading.get_native_id():
            self.entry["outer"] = since(self.before)
        self.entry["wall"] = time.monotonic_ns() - self.entry["start_ns"]
        os.write(self.fd, json.dumps(self.entry).encode() + b"\n")


def bare(environ, start_response):
    """The application without any clock of its own."""
    _, way, a, b, *_ = environ["PATH_INFO"].split("/")
    blocks = WAYS[way](environ, {}, int(a), int(b), "") or [b"done"]
    start_response("200 OK", [("Content-Length", str(sum(map(len, blocks))))])
    return blocks


def wrap(variant):
    """marked, nested: with clocks around and inside. bare: marked, and nothing else."""
    from wsgiscope import mark
    if variant == "bare":
        return mark(bare)
    return Outer(mark(mark(application)) if variant == "nested" else mark(application))


application_marked = wrap(os.environ.get("E2E_APP", "marked"))
