# SPDX-License-Identifier: BSD-2-Clause
"""The tracer's own load: a steady stream of synthetic requests, and what the tracer makes of it."""
import os
import subprocess
import threading
import time

from phases import BenchError, Attached, tracer_command

RATE = 20000
CONNECTIONS = 16
AIM_RSS_KB = 32 * 1024
TAIL_LINES = 400


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise BenchError(f"no VmRSS of pid {pid}")


def cpu_ns(pid):
    """CPU time of a single-threaded process."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


class Watch:
    """Samples a process's memory every second until stopped."""

    def __init__(self, pid):
        self.pid = pid
        self.rss = [rss_kb(pid)]
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(1):
            self.rss.append(rss_kb(self.pid))

    def stop(self):
        self.stopping.set()
        self.thread.join()


def stream(build, worker, seconds):
    """The stream under `wsgiscope trace`: requests, latest, memory, CPU time, the footer."""
    tail = subprocess.Popen(["tail", "-n", str(TAIL_LINES)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    tracer = Attached(tracer_command(build, worker.pid), stdout=tail.stdin)
    try:
        tail.stdin.close()
        tracer.wait_ready()
        watch = Watch(tracer.pid)
        start_ns = cpu_ns(tracer.pid)
        try:
            done, late_ns = worker.call("synthetic", rate=RATE, seconds=seconds,
                                        connections=CONNECTIONS)
        finally:
            watch.stop()
        time.sleep(1)  # for what is still in the ring
        used_ns = cpu_ns(tracer.pid) - start_ns
    finally:
        status = tracer.close()
        footer = tail.stdout.read()
        tail.wait()
    if status:
        raise BenchError(f"the tracer ended with status {status}\n{''.join(tracer.talk)}")
    return done, late_ns, watch.rss, used_ns, footer + "".join(tracer.talk)


def run(build, worker, seconds):
    """Prints what the tracer needed, and whether it lost anything."""
    done, late_ns, rss, used_ns, footer = stream(build, worker, seconds)
    print(f"\nthe tracer under {RATE} requests a second for {seconds} s, each with one write")
    print(f"  requests made {done}, latest behind its time {late_ns / 1e6:.1f} ms")
    print(f"  CPU of the tracer: {used_ns / done / 1000:.2f} us a request, "
          f"{used_ns / seconds / 1e7:.1f} % of one CPU")
    marks = rss[:: max(1, len(rss) // 6)] + rss[-1:]
    print("  resident memory, kB, over the time: " + " ".join(str(kb) for kb in marks)
          + f"; most {max(rss)}, aim <= {AIM_RSS_KB} {'ok' if max(rss) <= AIM_RSS_KB else 'over'}")
    for line in footer.splitlines():
        if "lost" in line or "requests" in line:
            print(f"  the tracer says: {line.strip()}")
