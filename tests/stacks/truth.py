# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel side took of truth_app.py against what the application said of itself: shares of
time, every name and line of every stack. Knows no server; run by tests/e2e and tests/pythons."""
import bisect
import collections
import http.client
import json
import os
import signal
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CODE_OK = 0
SAMPLE_CPU, SAMPLE_WAIT = 1, 2
STATES = ["cpu", "runnable", "gil", "socket_read", "socket_write", "file", "lock", "sleep", "other"]
BARE_SHARE = 0.02
ERRORS = ["ok", "no_python", "no_thread_state", "unreadable", "bad_frame"]


def ask(address, path):
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, (path, response.status, body[:200])
        return json.loads(body)
    finally:
        connection.close()


class Load:
    """Asks for all ways in turn, by so many clients, until the body ends."""

    def __init__(self, address, ways, clients=1):
        self.address, self.ways = address, ways
        self.answers, self.failures = [], []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]

    def run(self, shift):
        try:
            while not self.ending.is_set():
                for way in self.ways[shift:] + self.ways[:shift]:
                    self.answers.append(ask(self.address, "/%s/x" % way))
        except Exception as failure:  # it belongs to the thread that waits for us
            self.failures.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures


class Log:
    """stacklog's lines, of samples and code objects, with their frames looked up."""

    def __init__(self, lines):
        rows = [json.loads(line) for line in lines]
        self.codes = {(row["pid"], row["code"], row["print"]): row for row in rows
                      if row["kind"] == "code"}
        self.samples = [row for row in rows if row["kind"] == "sample"]
        self.requests = [row for row in rows if row["kind"] == "request"]
        self.counters = [row for row in rows if row["kind"] == "counters"][-1]

    def frame(self, sample, frame):
        """[name, file, line], or None where the code object could not be named."""
        address, fingerprint, offset = frame
        code = self.codes.get((sample["pid"], address, fingerprint))
        if not code or code["failed"] != CODE_OK:
            return None
        if offset < 0:
            return [code["name"], code["file"], None]
        index = bisect.bisect_right([line[0] for line in code["lines"]], offset) - 1
        return [code["name"], code["file"], code["lines"][index][1] if index >= 0 else None]

    def stack(self, sample):
        return [self.frame(sample, frame) for frame in sample["python"]]


def stacklog(program, pid, hz, seconds, *options):
    """Starts it and waits until it is attached: the process."""
    process = subprocess.Popen([program, str(pid), str(hz), str(seconds), *options],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line)
        if "attached to" in line:
            return process
    raise AssertionError("".join(said))


def enough(lines, samples):
    """Whether so many of stacklog's lines are samples of requests."""
    return sum(line.startswith('{"kind":"sample"') and '"id":0,' not in line
               for line in lines) >= samples


def measure(program, address, pid, hz, seconds, options=(), clients=1, ways="ways", samples=0):
    """(Log, answers) of so many seconds of load that are all sampled; of up to four times as many,
    until there are so many samples. ways: "ways" or "waits"."""
    ways = ask(address, "/none/x")[ways]
    process = stacklog(program, pid, hz, 4 * seconds + 60, *options)
    try:
        out = []
        reader = threading.Thread(target=lambda: out.extend(process.stdout))
        reader.start()
        with Load(address, ways, clients) as load:
            time.sleep(seconds)
            end = time.monotonic() + 3 * seconds
            while not enough(out, samples) and time.monotonic() < end:
                time.sleep(1)
        time.sleep(0.3)  # the last requests' records
        process.send_signal(signal.SIGINT)
        process.wait(20)
        reader.join()
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.stderr.close()
    return Log(out), load.answers


def way_of(stack):
    """The way that a stack is of, or None: its innermost function of that name."""
    for frame in stack:
        name = frame and frame[0].split(".")[0]
        if name and name.startswith("way_"):
            return name[4:]
    return None


def shares_of(weights):
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()} if whole else {}


def in_requests(log):
    return [sample for sample in log.samples if sample["id"] and sample["what"] == SAMPLE_CPU]


def shares(log, answers):
    """{way: (its share of the CPU time that the threads measured, of the samples)}."""
    truth, found = collections.Counter(), collections.Counter()
    for answer in answers:
        truth[answer["way"]] += answer["cpu_ns"]
    for sample in in_requests(log):
        if way := way_of(log.stack(sample)):
            found[way] += 1
    truth, found = shares_of(truth), shares_of(found)
    return {way: (share, found.get(way, 0)) for way, share in truth.items()}


def share_faults(log, answers, points):
    for way, (truth, found) in shares(log, answers).items():
        if abs(found - truth) > points / 100:
            yield "%s: %.1f %% of the samples, %.1f %% of the time" % (
                way, 100 * found, 100 * truth)


def chain(frames):
    """Of a stack as somebody said it: how to compare it."""
    return tuple((name, os.path.basename(file), line) for name, file, line in frames)


def line_faults(log, answers):
    """All that lies around spin() is one of the stacks that Python said it had, line by line."""
    known = {chain(stack) for answer in answers for stack in answer["stacks"]}
    file, first = answers[0]["file"], answers[0]["spin"]
    spun = 0
    for sample in in_requests(log):
        stack = log.stack(sample)
        if not stack or None in stack or stack[0][:2] != ["spin", file]:
            continue
        spun += 1
        if chain(stack[1:]) not in known:
            yield "a stack that never was: %s" % (chain(stack[:12]),)
        if not stack[0][2] or not first <= stack[0][2] <= first + 4:
            yield "spin() at line %r" % (stack[0][2],)
    if not spun:
        yield "spin() was never seen"


def freed_faults(log, answers):
    """Code that lives for milliseconds is named as what it was."""
    made = {name: span for answer in answers for name, span in answer["made"].items()}
    for sample in in_requests(log):
        for frame in log.stack(sample):
            if not frame or not frame[0].startswith("made_"):
                continue
            begin, end = made.get(frame[0], (0, 0))
            if not begin <= sample["time"] <= end:
                yield "%s was sampled at %d, it ran from %d to %d" % (
                    frame[0], sample["time"], begin, end)


MODULE = ["<module>", "<string>"]  # what exec() runs


def hammer(program, python, hz, seconds, each):
    """(Log, {function: span}) of so many seconds of freed.py, each of whose functions runs for
    `each` seconds."""
    freed = subprocess.Popen([*python, os.path.join(HERE, "freed.py"), str(each)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert freed.stdout.readline() == "ready\n"
        process = stacklog(program, freed.pid, hz, seconds)
        out, _ = process.communicate(timeout=seconds + 60)
        freed.stdin.close()
        spans = json.loads(freed.stdout.read())
        freed.wait(10)
    finally:
        if freed.poll() is None:
            freed.kill()
            freed.wait()
        freed.stdout.close()
    return Log(out.splitlines()), spans


def hammer_frames(log, spans):
    """Counter of what became of the frames of functions that were made and freed."""
    found = collections.Counter()
    for sample in log.samples:
        stack = log.stack(sample)
        for frame in stack:
            if frame is None:
                found["unknown"] += 1
            elif frame[0].startswith("made_"):
                begin, end = spans.get(frame[0], (0, 0))
                found["right" if begin <= sample["time"] <= end else "wrong"] += 1
                if frame[0] == stack[0][0] and frame[2] not in (1, 4, 5):
                    found["line"] += 1
            elif os.path.basename(frame[1]) != "freed.py" and frame[:2] != MODULE:
                found["wrong"] += 1
    return found


def unknown_faults(log):
    """No frame without a name, no stack without frames, nothing lost."""
    errors = collections.Counter(ERRORS[sample["error"]] for sample in in_requests(log))
    if set(errors) - {"ok"}:
        yield "errors: %r" % (dict(errors),)
    for code in log.codes.values():
        if code["failed"] != CODE_OK:
            yield "a code object without a name: %r" % (code,)
    # Some servers call the marker, and it the application, with no Python in between.
    bare = sum(not sample["python"] for sample in in_requests(log))
    if bare > BARE_SHARE * len(in_requests(log)):
        yield "%d samples in requests have no frames" % bare
    unknown = sum(None in log.stack(sample) for sample in in_requests(log))
    if unknown:
        yield "%d samples have a frame that is not known" % unknown
    for name in ("ring_full", "code_lost", "code_stale"):
        if log.counters[name]:
            yield "%s: %d" % (name, log.counters[name])


def faults(log, answers, points):
    samples = in_requests(log)
    if len(samples) < 100:
        yield "%d samples in requests" % len(samples)
        return
    yield from unknown_faults(log)
    yield from share_faults(log, answers, points)
    yield from line_faults(log, answers)
    yield from freed_faults(log, answers)


def waits_of(log):
    """{(function, state, port): ms} of the waits within requests, by the function of truth_app."""
    found = collections.Counter()
    for sample in log.samples:
        if not sample["id"] or sample["what"] != SAMPLE_WAIT:
            continue
        names = [frame[0] for frame in log.stack(sample) if frame and frame[0].startswith("wait_")]
        found[names[0] if names else None, STATES[sample["state"]], sample["port"]] += \
            sample["weight"] / 1e6
    return found
