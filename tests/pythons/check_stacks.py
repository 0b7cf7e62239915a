#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether stacks are what they are on the Pythons of other releases.

Usage: check_stacks.py STACKLOG PYTHONS MARKERS VERSION...
For each VERSION, a folder of pythons.sh below PYTHONS or `host`, it runs the gunicorn (gthread),
the uWSGI and the mod_wsgi of that Python, stripped and not, with tests/stacks/truth_app.py and the
marker MARKERS/VERSION/python, and compares what this host's STACKLOG took of them with what they
say of themselves. Then whether code that comes and goes is named as what it was
(tests/stacks/freed.py). Prints a table; exit status 1 if something is not so. STACKS_SECONDS is how
long each is sampled at least; where CPUs are short, until there are 20,000 samples, four times as
long at most. Needs root.
"""
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
STACKS = os.path.join(os.path.dirname(HERE), "stacks")
sys.path[:0] = [HERE, STACKS]

import truth  # noqa: E402
from server_cases import case_name, cases, server_command  # noqa: E402
from check_states import Failed, Program, READY_S, free_port  # noqa: E402

HZ = 999
SECONDS = float(os.environ.get("STACKS_SECONDS", 30))
SAMPLES = min(20000, int(SECONDS * HZ))
POINTS = 2
SHOWN = 5  # faults of each case
FREED_SECONDS = 5


def is_ready(address):
    try:
        return truth.ask(address, "/none/x")
    except OSError:
        return None


def case_run(case, stacklog, marker):
    address = ("127.0.0.1", free_port())
    script = os.path.join(STACKS, "truth_app.py")
    with server_command(case, address[1], script, marker) as (command, env), \
            Program(command, signal.SIGTERM, env) as server:
        server.wait_for(lambda: is_ready(address), READY_S, f"the {case.kind} of {case.version}")
        return truth.measure(stacklog, address, server.process.pid, HZ, SECONDS,
                             samples=SAMPLES)


def case_check(case, stacklog, marker):
    """The faults of one server, after its row of the table."""
    try:
        log, answers = case_run(case, stacklog, marker)
        faults = list(truth.faults(log, answers, POINTS))
    except (Failed, AssertionError) as failure:
        print(f"{case_name(case)}FAILED", flush=True)
        return [str(failure)]
    worst = max(abs(found - share) for share, found in truth.shares(log, answers).values())
    depth = max(len(sample["python"]) for sample in truth.in_requests(log))
    print(f"{case_name(case)}{len(truth.in_requests(log)):8}{100 * worst:16.2f}"
          f"{len(log.codes):8}{depth:8}  {'FAILED' if faults else 'ok'}", flush=True)
    return faults


def freed_check(version, stacklog, pythons):
    """The faults of code that is made and freed all the time, after its row."""
    python = "/usr/bin/python3" if version == "host" else f"{pythons}/bin/python{version}"
    if os.path.exists(f"{pythons}/{version}/bin/python"):  # of builds.sh
        python = f"{pythons}/{version}/bin/python"
    log, spans = truth.hammer(stacklog, [python], HZ, FREED_SECONDS, 0.002)
    found = truth.hammer_frames(log, spans)
    right = found.pop("right", 0)
    faults = [f"{count} frames of freed code: {name}" for name, count in found.items()]
    if right < 100:
        faults.append(f"{right} frames of code that was freed soon after")
    print(f"{version:17}{'freed':10}{right:8} frames, {len(spans)} functions made and freed  "
          f"{'FAILED' if faults else 'ok'}", flush=True)
    return faults


def faults_print(faults):
    for fault in faults[:SHOWN]:
        print(f"    {fault}", flush=True)
    return len(faults)


def main():
    if len(sys.argv) < 5:
        print("usage: check_stacks.py STACKLOG PYTHONS MARKERS VERSION...", file=sys.stderr)
        return 2
    stacklog, pythons, markers = map(os.path.abspath, sys.argv[1:4])
    os.environ["PYTHONS"] = pythons
    print(f"{'python':17}{'server':10}{'samples':>8}{'worst (points)':>16}{'codes':>8}{'depth':>8}")
    failed = 0
    for case in cases(pythons, sys.argv[4:]):
        faults = case_check(case, stacklog, os.path.join(markers, case.version, "python"))
        failed += faults_print(faults)
    for version in sys.argv[4:]:
        failed += faults_print(freed_check(version, stacklog, pythons))
    print(f"stacks: {failed} faults" if failed else "stacks: ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
