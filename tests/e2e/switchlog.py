# SPDX-License-Identifier: BSD-2-Clause
"""What the scheduler did with a server's threads, from a trace instance of the kernel's own: the
truth of on-CPU, runnable and blocked that no hypervisor's steal disturbs, as the thread CPU clock
and schedstat are. Knows nothing of the tracer under test, of requests or of servers."""
import bisect
import collections
import os
import re

import procs

INSTANCES = "/sys/kernel/tracing/instances"
EVENTS = ["sched_switch", "sched_wakeup"]
LINE = re.compile(r"\s(?P<s>\d+)\.(?P<us>\d{6}): (?:sched_switch: prev_comm=.* "
                  r"prev_pid=(?P<prev>\d+) prev_prio=-?\d+ prev_state=(?P<state>\S+) ==> "
                  r"next_comm=.* next_pid=(?P<next>\d+) |"
                  r"sched_wakeup: comm=.* pid=(?P<woken>\d+) )")

# In ns.
Times = collections.namedtuple("Times", "on_cpu runnable blocked")


class SwitchLog:
    """Follows these processes' threads and their children. Use as a context."""

    def __init__(self, pids):
        self.path = os.path.join(INSTANCES, "wsgiscope-test-%d-%d" % (os.getpid(), id(self)))
        self.tids = [tid for pid in pids for tid in os.listdir("/proc/%d/task" % pid)]
        self.changes = {}

    def put(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as stream:
            stream.write(text)

    def __enter__(self):
        os.mkdir(self.path)
        self.put("trace_clock", "mono")
        self.put("buffer_size_kb", "8192")
        self.put("options/event-fork", "1")
        self.put("set_event_pid", " ".join(self.tids))
        for event in EVENTS:
            self.put("events/sched/%s/enable" % event, "1")
        return self

    def __exit__(self, *_):
        self.put("tracing_on", "0")
        assert procs.until(self.removed, 5), "%s is busy" % self.path

    def removed(self):
        try:
            os.rmdir(self.path)
        except OSError:
            return False
        return True

    def clear(self):
        self.put("trace", "")
        self.changes = {}

    def read(self):
        """Takes what was logged since clear(): {tid: [(ns, state it went into)]}."""
        changes = collections.defaultdict(list)
        with open(os.path.join(self.path, "trace"), encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if not (match := LINE.search(line)):
                    continue
                now = int(match["s"]) * 10**9 + int(match["us"]) * 1000
                if match["woken"]:
                    changes[int(match["woken"])].append((now, "woken"))
                    continue
                changes[int(match["prev"])].append(
                    (now, "runnable" if match["state"][0] == "R" else "blocked"))
                changes[int(match["next"])].append((now, "on_cpu"))
        self.changes = changes

    def times(self, tid, start_ns, end_ns):
        """Of a thread that ran at start_ns."""
        spent = dict.fromkeys(Times._fields, 0)
        state, since = "on_cpu", start_ns
        changes = self.changes.get(tid, [])
        for now, new in changes[bisect.bisect(changes, (start_ns,)):]:
            if now >= end_ns:
                break
            if new == "woken":
                if state != "blocked":
                    continue
                new = "runnable"
            spent[state] += now - since
            state, since = new, now
        spent[state] += end_ns - since
        return Times(**spent)
