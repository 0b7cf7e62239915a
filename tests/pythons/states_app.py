# SPDX-License-Identifier: BSD-2-Clause
"""The application of check_states.py: a request's path says how it spends its time. Answers with
what its thread measured by its own clocks, in ns, as JSON. Runs on every Python from 3.9 on; must
not know who watches."""
import _thread
import json
import threading
import time

import wsgiscope

SECONDS = 0.05


def run_delay_ns(tid):
    """How long the kernel says that the thread has waited for a CPU so far."""
    with open(f"/proc/self/task/{tid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[1])


def sleep():
    time.sleep(SECONDS)


def spin():
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        pass


def hold(lock, taken):
    with lock:
        taken.set()
        time.sleep(SECONDS)


def wait(lock, taken):
    """For a lock that another thread holds."""
    taken.wait()
    with lock:
        pass


def way_make(name):
    """What is measured. The making of a thread, which takes its own time, is not."""
    if name != "lock":
        return WAYS[name]
    lock, taken = threading.Lock(), threading.Event()
    _thread.start_new_thread(hold, (lock, taken))
    return lambda: wait(lock, taken)


# gil is spin, asked for by several clients at once; ready is for waiting until the server is.
WAYS = {"sleep": sleep, "spin": spin, "gil": spin, "ready": lambda: None}


def clocks():
    """Wall, CPU, run delay of this thread, in ns: a span's first reading."""
    return time.monotonic_ns(), time.thread_time_ns(), run_delay_ns(threading.get_native_id())


def since(before):
    """The span. Read the other way round, so that what the thread loses between two readings is in
    the wall time and nowhere else."""
    tid = threading.get_native_id()
    delay, cpu, wall = run_delay_ns(tid), time.thread_time_ns(), time.monotonic_ns()
    return {"tid": tid, "start": before[0], "end": wall, "cpu": cpu - before[1],
            "delay": delay - before[2]}


@wsgiscope.mark
def marked(environ, start_response):
    """Answers with what was true of the way alone."""
    way = way_make(environ["PATH_INFO"].split("/")[1])
    before = clocks()
    way()
    return answer(start_response, since(before))


def answer(start_response, what):
    body = json.dumps(what).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(body)))])
    return [body]


class Around:
    """The result of a marked request, and what was true around the mark when that is closed."""

    def __init__(self, uid, before, result):
        self.uid, self.before, self.result = uid, before, result

    def __iter__(self):
        return iter(self.result)

    def close(self):
        if hasattr(self.result, "close"):
            self.result.close()
        around[self.uid] = since(self.before)


around = {}  # by the requests' last path segment


def application(environ, start_response):
    """/around: of all requests so far."""
    uid = environ["PATH_INFO"].split("/")[-1]
    if uid == "around":
        return answer(start_response, around)
    before = clocks()
    return Around(uid, before, marked(environ, start_response))
