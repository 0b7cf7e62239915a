# SPDX-License-Identifier: BSD-2-Clause
"""An application whose stacks are known: a request's path says by which way it comes to spin().
It answers with what its thread measured and with the stack as Python sees it, as JSON. Runs on
every Python from 3.9 on, under any server; must not know who watches."""
import itertools
import json
import os
import socket
import sys
import threading
import time

import wsgiscope

SECONDS = 0.02
serial = itertools.count()


def stack_of(frame):
    """Innermost first, without the frame itself."""
    frames = []
    while frame := frame.f_back:
        code = frame.f_code
        frames.append([getattr(code, "co_qualname", code.co_name), code.co_filename,
                       frame.f_lineno])
    return frames


def spin(answer, seconds=SECONDS):
    answer["stacks"].append(stack_of(sys._getframe()))
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def recurse(answer, depth):
    if depth:
        recurse(answer, depth - 1)
    else:
        spin(answer)


def way_recursive(answer):
    recurse(answer, 30)


def way_deep(answer):
    recurse(answer, 300)


def generate(answer):
    for _ in range(2):
        spin(answer, SECONDS / 2)
        yield 1


def way_generator(answer):
    sum(generate(answer))


def way_comprehension(answer):
    return [spin(answer, SECONDS / 2) for _ in range(2)]


def decorator(function):
    def wrapper(*arguments, **keywords):
        return function(*arguments, **keywords)
    return wrapper


@decorator
@decorator
def way_decorated(answer):
    spin(answer)


def way_callback(answer):
    sorted([2, 1], key=lambda item: spin(answer, SECONDS / 2) or item)


def way_lambdas(answer):
    three, one = (lambda: spin(answer, 0.75 * SECONDS)), (lambda: spin(answer, 0.25 * SECONDS))
    three(); one()


class 容器:
    def __init__(self, answer):
        self.größe_測定(answer)

    def größe_測定(self, answer):
        spin(answer)


def way_names(answer):
    容器(answer)


def way_renamed(answer):
    def plain():
        spin(answer)
    changes = {"co_name": "🐍🎉"}
    if hasattr(plain.__code__, "co_qualname"):
        changes["co_qualname"] = "way_renamed.<locals>.🐍🎉"
    plain.__code__ = plain.__code__.replace(**changes)
    plain()


def way_freed(answer):
    """Code that is made and gone again before anybody can ask for its name at leisure."""
    for _ in range(4):
        name = "made_%d_%d" % (os.getpid(), next(serial))
        names = {}
        exec("def %s(spin, answer, seconds):\n\n    spin(answer, seconds)\n" % name, names)
        begin = time.monotonic_ns()
        names.pop(name)(spin, answer, SECONDS / 4)
        answer["made"][name] = [begin, time.monotonic_ns()]


def wait_sleep(answer):
    time.sleep(SECONDS)


def hold(lock, taken):
    with lock:
        taken.set()
        time.sleep(SECONDS)


def wait_lock(answer):
    lock, taken = threading.Lock(), threading.Event()
    thread = threading.Thread(target=hold, args=(lock, taken))
    thread.start()
    taken.wait()
    with lock:
        pass
    thread.join()


def answer_late(listener):
    sock, _ = listener.accept()
    with sock:
        time.sleep(SECONDS)
        sock.sendall(b"late")


def wait_socket(answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer["port"] = listener.getsockname()[1]
        threading.Thread(target=answer_late, args=(listener,), daemon=True).start()
        with socket.create_connection(("127.0.0.1", answer["port"])) as sock:
            sock.recv(4)


WAYS = {name[4:]: value for name, value in sorted(globals().items()) if name.startswith("way_")}
WAITS = {name: value for name, value in sorted(globals().items()) if name.startswith("wait_")}
ALL = {**WAYS, **WAITS}


@wsgiscope.mark
def application(environ, start_response):
    way = environ["PATH_INFO"].split("/")[1]
    answer = {"way": way, "stacks": [], "made": {}, "file": __file__,
              "spin": spin.__code__.co_firstlineno}
    cpu, wall = time.thread_time_ns(), time.monotonic_ns()
    if way in ALL:
        ALL[way](answer)
    answer["cpu_ns"], answer["wall_ns"] = time.thread_time_ns() - cpu, time.monotonic_ns() - wall
    answer["ways"], answer["waits"] = list(WAYS), list(WAITS)
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(body)))])
    return [body]
