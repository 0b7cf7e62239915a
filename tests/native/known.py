# SPDX-License-Identifier: BSD-2-Clause
"""A process whose stacks are known: each of its threads says what its own stack is, as Python sees
it, and stops there. One line of JSON on stdout per thread, then `ready`. Ends when stdin does.

Runs on every Python from 3.9 on. The images in images/ were made of it (capture.py)."""
import json
import os
import sys
import threading
import time


def stack_of(frame):
    frames = []
    while frame:
        code = frame.f_code
        frames.append([getattr(code, "co_qualname", code.co_name), code.co_filename,
                       frame.f_lineno])
        frame = frame.f_back
    return frames


def say(frame):
    line = {"self": threading.get_ident(), "frames": stack_of(frame)}
    os.write(1, (json.dumps(line) + "\n").encode())


def stop():
    # On one line, so that what is said of it stays true.
    say(sys._getframe()); time.sleep(1e6)


def recurse(depth):
    return recurse(depth - 1) if depth else stop()


def decorated(function):
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper


class Ведро:
    def __init__(self):
        self.中文名字()

    def 中文名字(self):
        first, second = (lambda: None), (lambda: stop()); second()


@decorated
def wrapped():
    Ведро()


def generate():
    yield 1
    wrapped()
    yield 2


def callback(item):
    if item:
        list(generate())
    return item


def comprehend():
    return [sorted([0, item], key=callback) for item in (1,)]


def compiled():
    names = {"stop": stop}
    exec(compile("def made_𠀀():\n\n    stop()\nmade_𠀀()", "<made of 🎉>", "exec"), names)


def interpreters_module():
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            return __import__(name)
        except ImportError:
            pass
    raise ImportError("no sub-interpreters in this Python")


def inside():
    """The same file, run by another interpreter on this thread."""
    module = interpreters_module()
    source = "import runpy; runpy.run_path(%r, run_name='inside')" % __file__
    module.run_string(module.create(), source)


def main():
    threads = [comprehend, lambda: recurse(40), compiled, inside]
    for function in threads:
        threading.Thread(target=function, daemon=True).start()
        time.sleep(0.3)
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
elif __name__ == "inside":
    stop()
