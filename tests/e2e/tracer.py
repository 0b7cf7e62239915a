# SPDX-License-Identifier: BSD-2-Clause
"""Runs the tracer and reads what it says; looks for what it may leave behind in the kernel.

Knows the contract of the command line (stdout is data, stderr is talk) and nothing of servers."""
import json
import os
import re
import signal
import subprocess
import tempfile

import procs
from servers import ROOT

BINARY = os.path.abspath(os.environ.get("WSGISCOPE", os.path.join(ROOT, "build/wsgiscope")))
ATTACHED = "wsgiscope: attached to"
# It takes 0.7 s of CPU time, most of it the kernel's checking of programs: on two CPUs with a load
# of 25 that is 4 s, and more where several attach at once.
ATTACH_S = 120
UPROBE_EVENTS = "/sys/kernel/tracing/uprobe_events"


def run(*args, timeout=20, **kwargs):
    """A verb that ends by itself: CompletedProcess with text output."""
    return subprocess.run([BINARY, *map(str, args)], timeout=timeout, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=kwargs.pop("stdout", subprocess.PIPE),
                          stderr=subprocess.PIPE, **kwargs)


def probes(pid):
    """What a tracer has of uprobe events: its group bears its PID. By the group's directory: the
    list of all is read by pieces, and others change it in between."""
    try:
        return set(os.listdir(os.path.join(os.path.dirname(UPROBE_EVENTS), "events",
                                           "wsgiscope_%d" % pid))) - {"enable", "filter"}
    except OSError:
        return set()


def program_ids(pid):
    """The BPF programs that a process holds."""
    found = set()
    try:
        for fd in os.listdir("/proc/%d/fdinfo" % pid):
            with open("/proc/%d/fdinfo/%s" % (pid, fd), encoding="ascii") as stream:
                found.update(re.findall(r"^prog_id:\s*(\d+)", stream.read(), re.M))
    except OSError:
        pass
    return found


def loaded_programs():
    output = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, check=True)
    return {str(program["id"]) for program in json.loads(output.stdout)}


def counted(talk, word):
    """{reason: count} of the lines of a run's talk that begin with this word."""
    return {name: int(count) for name, count in
            re.findall(rf"^(?:wsgiscope: )?{word}: ([a-z_]+) (\d+)", talk, re.M)}


class Tracer:
    """A running `trace --json` (or another verb). Use as a context: it ends with SIGINT."""

    def __init__(self, *args, verb="trace", json_lines=True, wait=True, environ=None):
        self.directory = tempfile.TemporaryDirectory(prefix="wsgiscope-tracer-")
        self.paths = [os.path.join(self.directory.name, name) for name in ("out", "err")]
        self.command = [BINARY, verb] + (["--json"] if json_lines else []) + [
            str(arg) for arg in args]
        self.json_lines = json_lines
        self.wait_attached = wait
        self.environ = environ
        self.process = None
        self.programs = set()
        self.offset, self.lines = 0, []
        self.final = ("", "")

    def __enter__(self):
        with open(self.paths[0], "wb") as out, open(self.paths[1], "wb") as err:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, env=self.environ)
        if self.wait_attached:
            try:
                self.wait_for_attach()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_):
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.json_lines:
                self.records()
            self.final = (self.stdout(), self.stderr())
            self.directory.cleanup()

    @property
    def pid(self):
        return self.process.pid

    def wait_for_attach(self, seconds=ATTACH_S):
        procs.until(lambda: ATTACHED in self.stderr() or self.process.poll() is not None, seconds)
        if ATTACHED not in self.stderr():
            raise AssertionError("not attached: %s\n%s" % (self.command, self.stderr()))
        assert probes(self.pid) or re.search("waiting for one|by the wire", self.stderr()), (
            "no probe in %s" % UPROBE_EVENTS)
        self.note_programs()

    def note_programs(self):
        """Remembers what it has put into the kernel, for left_behind()."""
        self.programs |= program_ids(self.pid)

    def read(self, index):
        if not os.path.exists(self.paths[index]):
            return self.final[index]
        with open(self.paths[index], encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()

    def stdout(self):
        return self.read(0)

    def stderr(self):
        return self.read(1)

    def records(self):
        """The requests that it has printed so far, in order."""
        if os.path.exists(self.paths[0]):
            with open(self.paths[0], "rb") as stream:
                stream.seek(self.offset)
                data = stream.read()
            whole = data[:data.rfind(b"\n") + 1]
            self.offset += len(whole)
            self.lines += map(json.loads, whole.splitlines())
        return [line for line in self.lines if "method" in line]

    def by_uid(self):
        return {(record["path"] or "").rsplit("/", 1)[-1]: record for record in self.records()}

    def wait(self, uids, seconds=8):
        """Until these requests are there: {uid: record}; what is missing is not in it."""
        wanted = set(uids)
        procs.until(lambda: wanted <= self.by_uid().keys(), seconds, 0.05)
        return {uid: record for uid, record in self.by_uid().items() if uid in wanted}

    def stop(self, how=signal.SIGINT, seconds=10):
        """Ends it; the exit status."""
        self.note_programs()
        self.process.send_signal(how)
        return self.process.wait(seconds)

    def losses(self):
        """What it said it lost, or has less of."""
        return counted(self.stderr(), "lost") | counted(self.stderr(), "incomplete")

    def lost_requests(self):
        """How many requests it lost whole: of the incomplete ones there is a record."""
        return sum(counted(self.stderr(), "lost").values())

    def left_behind(self, seconds=5):
        """What of it is still in the kernel after its end; {} is right."""
        def left():
            return {"probes": probes(self.pid),
                    "programs": loaded_programs() & self.programs}
        procs.until(lambda: not any(left().values()), seconds, 0.1)
        return {name: what for name, what in left().items() if what}
