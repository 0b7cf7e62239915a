# SPDX-License-Identifier: BSD-2-Clause
"""When a server's threads were blocked, from a trace instance of the kernel's own: the truth of it.
Between a switch off the CPU that is no preemption and the wake-up a thread is blocked, whatever a
hypervisor does meanwhile. What is not blocked is the thread's own CPU clock and, the rest of the
time, runnable. The log does not tell these two apart: a run in it lasts through a hypervisor's
steal, and some kernels hide switches from it (away from the idle task of this machine's second CPU
and from PID 1's threads), so that the next run begins unseen; rarely its wake-up too.

Knows nothing of the tracer under test, of requests or of servers."""
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
        """Takes what was logged since clear(): {tid: [(ns, whether it is blocked then, whether
        it ran until then)]}."""
        changes = collections.defaultdict(list)
        with open(os.path.join(self.path, "trace"), encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if not (match := LINE.search(line)):
                    continue
                now = int(match["s"]) * 10**9 + int(match["us"]) * 1000
                if match["woken"]:
                    changes[int(match["woken"])].append((now, False, False))
                    continue
                changes[int(match["prev"])].append((now, match["state"][0] != "R", True))
                changes[int(match["next"])].append((now, False, False))
        self.changes = changes

    def blocked_range_ns(self, tid, start_ns, end_ns):
        """Of a thread that ran at start_ns, at least and at most: a wait that ends with the thread
        coming off a CPU has a run in it whose wake-up and start are hidden, and only its end is
        known."""
        least, most, since = 0, 0, None
        changes = self.changes.get(tid, [])
        for now, blocked, ran in changes[bisect.bisect(changes, (start_ns,)):]:
            if now >= end_ns:
                break
            if since is not None:
                most += now - since
                least += 0 if ran else now - since
            since = now if blocked else None
        rest = end_ns - since if since is not None else 0
        return least + rest, most + rest
