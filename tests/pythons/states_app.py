# SPDX-License-Identifier: BSD-2-Clause
"""The application of check_states.py: a request's path says how it spends its time. Answers with
what its thread measured by its own clocks, as JSON. Runs on every Python from 3.9 on; must not know
who watches."""
import _thread
import json
import threading
import time

import wsgiscope

SECONDS = 0.05


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


@wsgiscope.mark
def application(environ, start_response):
    way = way_make(environ["PATH_INFO"].split("/")[1])
    wall, cpu = time.monotonic(), time.thread_time()
    way()
    cpu, wall = time.thread_time() - cpu, time.monotonic() - wall
    body = json.dumps({"wall_ms": wall * 1e3, "cpu_ms": cpu * 1e3}).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(body)))])
    return [body]
