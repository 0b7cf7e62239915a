# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of states, the GIL, queue time and greenlets share: servers that run the app
`states`, one tracer for each, and the checks of a record against what is true of it.

A noisy machine changes how long things take, not what is true of them: each state is compared with
what was true of the same thread at the same time, never with a nominal value. What is true: `cpu`
is the thread's own CPU clock, `blocked` what the scheduler's log says, `runnable` the rest.

On a machine under a hypervisor the thread's clock leaves out what that took away (the clock is
se.sum_exec_runtime, in the time of rq_clock_task(), and with CONFIG_PARAVIRT_TIME_ACCOUNTING that
has no steal in it). Measured here beside two busy loops: 60 requests that were on a CPU for 3346 ms
by the log of switches had 3101 ms by their threads' clocks, and 1040 ms of steal were counted for
both CPUs meanwhile, a quarter of whose time was theirs. What was stolen is runnable: waiting for
a CPU."""
import collections
import contextlib
import os
import subprocess

import client
import procs
import servers
from switchlog import SwitchLog
from tracer import Tracer

# What is true of a span of a thread's time, in ns. cpu, runnable and blocked add up to wall; surely
# is what it was blocked at least, where the scheduler hid from its log when a wait ended.
Truth = collections.namedtuple("Truth", "wall cpu runnable blocked surely")
NOTHING = Truth(0, 0, 0, 0, 0)

STATES = ["cpu", "runnable", "gil", "socket_read", "socket_write", "file", "lock", "sleep",
          "other"]
MODULE = "states:application_marked"


def command_gunicorn(server, *options):
    return ["/usr/bin/gunicorn", "--bind", server.bind, "--workers", str(server.processes),
            "--graceful-timeout", "2", *options, *server.options, MODULE]


def command_sync(server):
    return command_gunicorn(server)


def command_gthread(server):
    return command_gunicorn(server, "--worker-class", "gthread", "--threads", str(server.threads))


def command_gevent(server):
    return command_gunicorn(server, "--worker-class", "gevent")


def command_uwsgi(server):
    return ["/usr/bin/uwsgi", "--plugin", "python3", "--http-socket", server.bind, "--master",
            "--processes", str(server.processes), "--threads", str(server.threads),
            "--enable-threads", "--die-on-term", "--need-app", "--disable-logging", "--listen",
            "100", "--module", MODULE, *server.options]


def command_apache_embedded(server):
    return servers.write_apache_config(
        server, server.processes, "%{GLOBAL}", "WSGIPythonPath %s\nWSGICallableObject %s" % (
            server.environ["PYTHONPATH"], MODULE.split(":")[1]), "states.py")


def command_apache_daemon(server):
    return servers.write_apache_config(
        server, 1, "e2e", "WSGIDaemonProcess e2e processes=%d threads=%d display-name=%%{GROUP} "
        "python-path=%s\nWSGICallableObject %s" % (
            server.processes, server.threads, server.environ["PYTHONPATH"], MODULE.split(":")[1]),
        "states.py")


def command_elsewhere(server):
    return [servers.PYTHON, os.path.join(servers.APPS, "elsewhere-server.py"),
            *server.bind.split(":")]


COMMANDS = {"gunicorn-sync": command_sync, "gunicorn-gthread": command_gthread,
            "gunicorn-gevent": command_gevent, "uwsgi": command_uwsgi, "uwsgi-unix": command_uwsgi,
            "mod_wsgi-embedded": command_apache_embedded, "mod_wsgi-daemon": command_apache_daemon,
            "elsewhere": command_elsewhere}
# Whose facts of servers.KINDS hold for it.
LIKE = {"gunicorn-gevent": "gunicorn-sync", "elsewhere": "wsgiref"}


class StatesServer(servers.Server):
    """kind: of COMMANDS. processes and threads of each: as asked for."""

    def __init__(self, kind, variant="marked", processes=1, threads=4, options=(), environ=()):
        super().__init__(LIKE.get(kind, kind), variant, options, environ)
        self.kind = self.kind._replace(command=COMMANDS[kind], workers=processes)
        self.processes = processes
        self.threads = threads


class Traced:
    """A server and a tracer of it. Use as a context."""

    def __init__(self, server):
        self.server = server
        self.tracer = None
        self.log = None
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.server)
            self.log = stack.enter_context(SwitchLog(procs.tree(self.server.pid)))
            self.tracer = stack.enter_context(Tracer("-p", self.server.pid))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def join(self, sent):
        """[(record, entry)] of requests, in order; fails where one has no record. The entries'
        spans become Truths; called_ns are the moments between which the mark began. Clears the
        scheduler's log."""
        uids = [each.uid for each in sent]
        records = self.tracer.wait(uids)
        missing = [each.target for each in sent if each.uid not in records]
        assert not missing, "no record of %d: %r\n%s" % (
            len(missing), missing[:5], self.tracer.stderr()[-1000:])
        entries = self.server.oracle.wait(uids)
        assert None not in entries, self.server.log()[-3000:]
        self.log.read()
        for entry in entries:
            entry["called_ns"] = [entry[name][0] for name in ("outer", "inner") if name in entry]
            entry.update({name: truth_of(entry, name, self.log)
                          for name in ("op", "inner", "outer")})
            entry["taken"] = [(end - start, *self.log.blocked_range_ns(entry["tid"], start, end))
                              for start, end in entry.get("gil", [])]
        self.log.clear()
        return [(records[uid], entry) for uid, entry in zip(uids, entries)]

    def ask(self, way, a=0, b=0, extra="", repeat=5, **kwargs):
        """The same request several times, one after the other: [(record, entry)]."""
        sent = [client.Request(way, a, b, extra=str(extra), **kwargs) for _ in range(repeat)]
        for each in sent:
            response = client.fetch(self.server.address, each)
            assert response.status == 200, (response.raw, self.server.log()[-3000:])
        return self.join(sent)


class BusyCpu:
    """Another process that never leaves this CPU alone. Use as a context."""

    def __init__(self, cpu):
        self.cpu = cpu
        self.process = None

    def __enter__(self):
        code = ("import os; os.sched_setaffinity(0, {%d}); print(flush=True)\n"
                "while os.getppid() == %d: sum(range(10000))" % (self.cpu, os.getpid()))
        self.process = subprocess.Popen([servers.PYTHON, "-c", code], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def last_cpu():
    return max(os.sched_getaffinity(0))


def build_gil_oracle(directory):
    """Compiles gil_oracle.c for the servers' Python into a directory for their PYTHONPATH."""
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    include = subprocess.run([servers.PYTHON, "-c", code], capture_output=True, text=True,
                             check=True).stdout.strip()
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-I", include, "-o",
                    os.path.join(directory, "gil_oracle.so"),
                    os.path.join(servers.HERE, "gil_oracle.c")], check=True)


def real_disk(directory):
    """Whether the directory's file system has a block device under it."""
    number = os.stat(directory).st_dev
    return os.path.exists("/sys/dev/block/%d:%d" % (os.major(number), os.minor(number)))


def near(seen_ms, true_ns, ms=2.0, share=0.03):
    return abs(seen_ms - true_ns / 1e6) <= max(ms, share * true_ns / 1e6)


def truth_of(entry, name, log):
    """Of a span of the entry, or None. Of what is blocked there are two accounts, and each can only
    say too much: the log where a wake-up was hidden from it, the rest of the wall time where a
    hypervisor took some, which is in none of the thread's clocks."""
    if name not in entry:
        return None
    start, end, cpu, delay = entry[name]
    wall = end - start
    least, most = log.blocked_range_ns(entry["tid"], start, end)
    blocked = max(0, min(most, wall - cpu - delay))
    return Truth(wall, cpu, wall - cpu - blocked, blocked, min(least, blocked))


def shown(record, entry):
    """What a failure prints, times in ms."""
    kept = {key: record[key] for key in ("tid", "application_ms", "notes") if record[key]}
    states = {name: ms for name, ms in (record["states_ms"] or {"states": None}).items() if ms != 0}
    rest = {key: value for key, value in record.items()
            if key.startswith(("socket_read_", "queue", "gc_")) and value}
    lines = [" ".join([record["path"], str(kept), str(states), str(rest)])]
    for name, value in entry.items():
        if isinstance(value, Truth):
            lines.append("    %s: %s" % (name, " ".join(
                "%s %.3f" % (field, ns / 1e6) for field, ns in value._asdict().items())))
    return "\n" + "\n".join(lines)


def check_sum(record, entry):
    """The states are there, none is negative, and they add up to the application time."""
    where = shown(record, entry)
    states = record["states_ms"]
    assert states is not None and list(states) == STATES, where
    assert all(value >= 0 for value in states.values()), where
    total = sum(states.values())
    assert abs(total - record["application_ms"]) <= max(0.01 * record["application_ms"],
                                                        0.002), where


def off_ms(seen_ms, inner_ns, outer_ns):
    """How far it is from what is true, past 2 ms or 3 % of that; 0 is right. What is true lies
    between that of the time inside the mark and that of the time around it: microseconds, unless
    the thread has to wait just there."""
    low, high = sorted((inner_ns / 1e6, outer_ns / 1e6))
    return max(0, low - max(2, 0.03 * low) - seen_ms, seen_ms - high - max(2, 0.03 * high))


def errors_ms(record, entry, state, threads=False):
    """{what: how far off}, of what is off. All that the operation was blocked is in `state`; with
    other threads in it, also in gil: who wakes this one may have the GIL for some time yet."""
    states, inner, outer = dict(record["states_ms"]), entry["inner"] or NOTHING, entry["outer"]
    errors = {name: off_ms(states[name], getattr(inner, name), getattr(outer, name))
              for name in ("cpu", "runnable")}
    if state:
        op = entry["op"]
        if threads:
            states[state] += states.pop("gil")
        others = sum(value for name, value in states.items()
                     if name not in ("cpu", "runnable", state))
        errors[state] = off_ms(states[state], op.blocked, outer.blocked if threads else op.blocked)
        errors["others"] = off_ms(others, max(0, inner.blocked - op.blocked) if not threads else 0,
                                  outer.blocked - op.blocked)
    return {name: value for name, value in errors.items() if value}


def check_states(found, state=None, threads=False):
    """[(record, entry)] of one kind of request. In each the states add up, cpu and runnable are
    what is true, and all that the operation was blocked is in `state`, with nothing elsewhere."""
    for record, entry in found:
        check_sum(record, entry)
        errors = errors_ms(record, entry, state, threads)
        assert not errors, "off by %r ms%s" % (errors, shown(record, entry))
