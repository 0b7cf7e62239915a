# SPDX-License-Identifier: BSD-2-Clause
"""The processes of the benchmark: workers that are measured, and who is attached to them when.

Everything started here is ended here, by its PID.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
READY_S = 30
LIMIT_OPTIONS = {"limit": (), "awake": ("-u",), "scheduler": ("-s",), "wirelimit": ("-w",)}
OPTIONS = {"blocks": ["--blocks"], "wire": ["--mode", "wire"]}
WORKER_CPU = 0
# The tracer gets another CPU where there is one, so that what it takes is not taken from workers.
TRACER_CPU = max(os.sched_getaffinity(0))


class BenchError(Exception):
    """Something that the benchmark relies on did not happen."""


class Worker:
    """A worker.py; its commands as method calls: worker.call("loop", wrap="bare", n=100)."""

    def __init__(self, build, package):
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        paths = [package, os.path.join(build, "tests", "bench"), HERE]
        env["PYTHONPATH"] = os.pathsep.join(paths)
        command = [sys.executable, os.path.join(HERE, "worker.py"), str(WORKER_CPU)]
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid

    def call(self, op, **arguments):
        self.process.stdin.write(json.dumps(dict(arguments, op=op)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise BenchError(f"the worker ended during {op!r}, status {self.process.wait()}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(READY_S)


class Attached:
    """A program that attaches: ready once it has said so; ended by signum. stdout is kept unless
    it is sent elsewhere."""

    def __init__(self, command, signum=signal.SIGINT, stdout=subprocess.PIPE):
        self.command = command
        self.signum = signum
        self.talk = []
        self.ready = threading.Event()
        self.process = subprocess.Popen(
            ["taskset", "-c", str(TRACER_CPU)] + command,
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
        )
        self.pid = self.process.pid  # taskset becomes the program
        self.stdout = []
        self.threads = []
        for stream, lines in ((self.process.stderr, self.talk), (self.process.stdout, self.stdout)):
            if stream:
                self.threads.append(threading.Thread(target=self.follow, args=(stream, lines)))
                self.threads[-1].start()

    def follow(self, stream, lines):
        for line in stream:
            lines.append(line)
            if ": attached to " in line:
                self.ready.set()
        if lines is self.talk:
            self.ready.set()  # it will say no more

    def wait_ready(self):
        self.ready.wait(READY_S)
        if not any(": attached to " in line for line in self.talk):
            raise BenchError(f"{' '.join(self.command)} did not attach:\n{''.join(self.talk)}")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(self.signum)
        try:
            status = self.process.wait(READY_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        for thread in self.threads:
            thread.join()
        return status


def tracer_command(build, pid, *options):
    return [os.path.join(build, "wsgiscope"), "trace", "-p", str(pid), *options]


def stateless_command(build, pid, *options):
    """The same tracer but for the states: its programs at the scheduler are empty."""
    return tracer_command(os.path.join(build, "tests", "bench", "nostates"), pid, *options)


@contextlib.contextmanager
def attached(command, signum=signal.SIGINT):
    """Runs command while the body runs; BenchError if it fails to attach or ends badly."""
    program = Attached(command, signum)
    try:
        program.wait_ready()
        yield program
    finally:
        status = program.close()
    if status:
        raise BenchError(f"{' '.join(command)}: status {status}\n{''.join(program.talk)}")


@contextlib.contextmanager
def phase(name, build, worker):
    """Nobody attached ("none"), the empty programs with the marker asleep ("limit"), awake
    ("awake"), at the scheduler alone ("scheduler") or where wire mode has its programs
    ("wirelimit"), the tracer ("tracer", with --blocks:
    "blocks", by the wire: "wire", without states: "nostates"). Yields the program, or None."""
    if name == "none":
        yield None
        return
    if name in LIMIT_OPTIONS:
        command = [os.path.join(build, "tests", "bench", "limit"), *LIMIT_OPTIONS[name]]
        command.append(worker.call("marker_path"))
        signum = signal.SIGTERM
    else:
        options = ["--path", "/nothing/*"] + OPTIONS.get(name, [])
        tracer = stateless_command if name == "nostates" else tracer_command
        command = tracer(build, worker.pid, *options)
        signum = signal.SIGINT
    with attached(command, signum) as program:
        yield program
