#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make demo: a live gunicorn, some traffic, and what `wsgiscope trace -p MASTER` says of it.

Starts gunicorn (2 workers, gthread) with the application beside this file, attaches to the
master's PID, asks for every page, interrupts the tracer, stops gunicorn. Leaves nothing running.
Usage: demo.py BUILD_DIRECTORY
"""
import concurrent.futures
import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
READY_S = 20
FILE_BYTES = 3_000_000
STREAM_BYTES = 2000 * 128

# path, times, the status and the length that the client must get (None: not checked)
TRAFFIC = [
    ("/issue/1", 5, 200, 8),
    ("/issue/2", 5, 200, 8),
    ("/slow", 4, 200, 5),
    ("/stream", 3, 200, STREAM_BYTES),
    ("/file", 3, 200, FILE_BYTES),
    ("/broken", 2, 500, None),
]


class DemoError(Exception):
    """Something that the demo relies on did not happen."""


class Lines:
    """Follows a process's output in a thread: echoes it, keeps it, lets others wait for a line."""

    def __init__(self, stream, echo=None):
        self.text = []
        self.ended = False
        self.news = threading.Condition()
        self.thread = threading.Thread(target=self.follow, args=(stream, echo), daemon=True)
        self.thread.start()

    def follow(self, stream, echo):
        for line in stream:
            if echo:
                echo.write(line)
                echo.flush()
            with self.news:
                self.text.append(line)
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def wait_for(self, pattern, count=1):
        """The matches of pattern, once there are count of them; DemoError if they do not come."""

        def found():
            return re.findall(pattern, "".join(self.text), re.MULTILINE)

        with self.news:
            self.news.wait_for(lambda: len(found()) >= count or self.ended, READY_S)
            if len(found()) < count:
                raise DemoError(f"waited for {pattern!r}, got:\n{''.join(self.text[-20:])}")
            return found()


def say(text):
    print(f"\n--- {text}", flush=True)


def stop(process, signum):
    """Ends a process that this program started; its exit status."""
    if process.poll() is None:
        process.send_signal(signum)
        try:
            process.wait(READY_S)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def server_start(build, directory):
    """A gunicorn master, its port and its log."""
    payload = os.path.join(directory, "file.bin")
    with open(payload, "wb") as file:
        file.write(os.urandom(FILE_BYTES))
    env = dict(os.environ, DEMO_FILE=payload, PYTHONDONTWRITEBYTECODE="1")
    env["PYTHONPATH"] = os.path.join(build, "python")
    options = ["--workers", "2", "--worker-class", "gthread", "--threads", "4"]
    options += ["--bind", "127.0.0.1:0", "app:application"]
    say("starting: gunicorn " + " ".join(options))
    command = [sys.executable, "-m", "gunicorn", "--config", os.path.join(HERE, "gunicorn.conf.py")]
    command += ["--chdir", HERE, "--worker-tmp-dir", directory, *options]
    master = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    try:
        log = Lines(master.stderr)
        port = int(log.wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)")[0])
        workers = log.wait_for(r"Worker ready: (\d+)", 2)
        print(f"gunicorn master {master.pid}, workers {' '.join(workers)}, port {port}")
        return master, port, log
    except BaseException:
        stop(master, signal.SIGTERM)
        raise


def fetch(port, path, status, length):
    """One request on a connection of its own; DemoError if the answer is not the right one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != status or length not in (None, len(body)):
        raise DemoError(f"{path}: status {response.status}, {len(body)} bytes")


def traffic_send(port):
    """All of TRAFFIC, a few at a time; how many requests that was."""
    jobs = [row for row in TRAFFIC for _ in range(row[1])]
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda row: fetch(port, row[0], row[2], row[3]), jobs))
    return len(jobs)


def trace_run(build, master, port):
    """The tracer over the traffic; what it printed to stdout."""
    command = [os.path.join(build, "wsgiscope"), "trace", "-p", str(master.pid)]
    say("attaching to the running master: wsgiscope " + " ".join(command[1:]))
    tracer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        talk = Lines(tracer.stderr, echo=sys.stderr)
        data = Lines(tracer.stdout, echo=sys.stdout)
        talk.wait_for(r"^wsgiscope: attached to ")
        sent = traffic_send(port)
        # A request ends in the worker a moment after the client has its last byte.
        deadline = time.monotonic() + 5
        while data_requests(data) < sent and time.monotonic() < deadline:
            time.sleep(0.05)
        status = stop(tracer, signal.SIGINT)
    except BaseException:
        stop(tracer, signal.SIGINT)
        raise
    talk.thread.join()
    data.thread.join()
    if status:
        raise DemoError(f"wsgiscope trace ended with status {status}")
    return sent, "".join(data.text)


def data_requests(data):
    """How many of the lines so far name one of the pages."""
    with data.news:
        return sum(any(row[0] in line for row in TRAFFIC) for line in data.text)


def check_output(text):
    """Every page has its line; DemoError names the one that has not."""
    for path, *_ in TRAFFIC:
        if path not in text:
            raise DemoError(f"the trace does not show {path}")


def main():
    if len(sys.argv) != 2:
        print("usage: demo.py BUILD_DIRECTORY", file=sys.stderr)
        return 2
    if os.geteuid():
        print("demo: attaching needs root: run sudo make demo", file=sys.stderr)
        return 1
    build = os.path.abspath(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="wsgiscope-demo-") as directory:
            master, port, _log = server_start(build, directory)
            try:
                sent, text = trace_run(build, master, port)
            finally:
                stop(master, signal.SIGTERM)
        check_output(text)
    except (DemoError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"{sent} requests sent and traced; gunicorn and the tracer are gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
