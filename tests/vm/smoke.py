# SPDX-License-Identifier: BSD-2-Clause
"""The smoke test of every verb, inside the virtual machine, as its root user.

Prints a line "RESULT<TAB>verb<TAB>ok|refused|failed<TAB>reason" each. refused: the tracer ended
with status 1 and one line that names what this kernel lacks and the version that has it. What is
here knows gunicorn and the command line; which results are right for a kernel is run.sh's."""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BINARY = "/wsgiscope/wsgiscope"
PORT = 8000
PATIENCE = int(os.environ.get("SMOKE_PATIENCE", "300"))  # seconds: it may be emulated
REFUSAL = re.compile(r"Linux \d+\.\d+")


class Refused(Exception):
    """The tracer said what this kernel lacks."""


def until(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError("%s: not within %d s" % (what, seconds))


def ask(path):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert (answer.status, body) == (200, b"block" * 3), (path, answer.status, body)


def answers():
    try:
        ask("/ready")
    except OSError:
        return False
    return True


def gunicorn():
    return ["/usr/bin/python3", "/usr/bin/gunicorn", "-w", "1", "-b", "127.0.0.1:%d" % PORT,
            "--chdir", HERE, "--log-level", "warning", "shop:application"]


def environ(marked):
    env = dict(os.environ, PYTHONPATH="/wsgiscope/python")
    if marked:
        env["SHOP_MARK"] = "1"
    return env


running = {}


def server_stop():
    for process in running.values():
        process.terminate()
        process.wait(PATIENCE)
    running.clear()


def server(marked=True):
    """A gunicorn with one worker: its master. It stays for the next who wants such a one."""
    if marked not in running:
        server_stop()
        running[marked] = subprocess.Popen(gunicorn(), env=environ(marked))
        until(answers, "gunicorn answers")
    return running[marked]


class Tracer:
    """A verb that attaches, from `attached to` until SIGINT."""

    def __init__(self, *args):
        self.paths = ["/tmp/tracer.out", "/tmp/tracer.err"]
        self.args = [BINARY, *map(str, args)]
        self.process = None

    def read(self, index):
        with open(self.paths[index], encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def __enter__(self):
        with open(self.paths[0], "wb") as out, open(self.paths[1], "wb") as err:
            self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, env=environ(True))
        try:
            until(lambda: self.process.poll() is not None or REFUSAL.search(self.read(1)) or
                  "wsgiscope: attached to" in self.read(1), "%s attaches" % self.args[1])
        except AssertionError:
            self.process.kill()
            raise
        if "wsgiscope: attached to" not in self.read(1):
            self.refuse()
        return self

    def refuse(self):
        """What it said. A server that `run` starts goes on untraced."""
        if self.args[1] == "run":
            until(answers, "the server answers")
            self.__exit__()
        else:
            self.process.wait(PATIENCE)
        said = self.read(1).splitlines()
        status = 1
        if self.args[1] == "run":
            assert said.pop().endswith("runs, and is not traced"), said
            status = 0
        if self.process.returncode == status and len(said) == 1 and REFUSAL.search(said[0]):
            raise Refused(said[0])
        raise AssertionError("ended with %s: %s" % (self.process.returncode, said))

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)

    def wait(self, count, text, index=0):
        """Until a text has come so often; what was printed."""
        until(lambda: self.read(index).count(text) >= count, "%d times %r" % (count, text))
        return self.read(index)

    def end(self):
        self.__exit__()
        assert self.process.returncode == 0, (self.process.returncode, self.read(1))
        assert not re.search("(lost|incomplete): (?!nothing)", self.read(1)), self.read(1)
        return self.read(0)


def records(text):
    return [json.loads(line) for line in text.splitlines() if '"method"' in line]


def run(*args):
    return subprocess.run([BINARY, *map(str, args)], timeout=PATIENCE, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)


def check_check():
    ended = run("check", "--json")
    failed = [line for line in map(json.loads, ended.stdout.splitlines())
              if line["result"] == "fail"]
    assert (ended.returncode == 1) == bool(failed), ended
    if failed:
        said = "; ".join("%(check)s: %(detail)s, %(advice)s" % line for line in failed)
        assert REFUSAL.search(said), said
        raise Refused(said)


def check_ps():
    master = server()
    rows = [json.loads(line) for line in run("ps", "--json").stdout.splitlines()]
    mine = [row for row in rows if row["parent"] == master.pid]
    assert len(mine) == 1 and mine[0]["server"] == "gunicorn", rows
    assert mine[0]["marker"], rows


def check_trace():
    master = server()
    with Tracer("trace", "--json", "-p", master.pid) as tracer:
        for i in range(20):
            ask("/issue/%d" % i)
        tracer.wait(20, '"/issue/')
        found = records(tracer.end())
    assert sorted(record["path"] for record in found) == sorted("/issue/%d" % i for i in range(20))
    for record in found:
        assert (record["mode"], record["status"], record["wire_status"]) == ("marker", 200, 200)
        assert (record["blocks"], record["bytes"], record["socket"]) == (3, 15, "inet"), record
        assert record["write_calls"] and record["write_bytes"] > 15, record


def check_text():
    master = server()
    with Tracer("trace", "--blocks", "-p", master.pid) as tracer:
        ask("/issue/1")
        tracer.wait(1, "/issue/1")
        text = tracer.end()
    assert re.search(r"GET +200 +\d+\.\d+ .* inet .*/issue/1", text), text
    assert re.search(r"^ +1 +0 .*/issue/\{n\}$", text, re.M), text


def check_states():
    master = server()
    with Tracer("trace", "--json", "-p", master.pid) as tracer:
        ask("/doze/300")
        ask("/spin/300")
        tracer.wait(2, '"method"')
        doze, spin = sorted(records(tracer.end()), key=lambda record: record["path"])
    # Not the full 300: a machine that is emulated on a busy host takes the CPU away meanwhile.
    for record, state, least in ((doze, "sleep", 200), (spin, "cpu", 200)):
        states = record["states_ms"]
        assert abs(sum(states.values()) - record["application_ms"]) < 0.02, record
        assert states[state] >= least, record


def check_new_worker():
    """A worker that comes later is traced from its first request."""
    master = server()
    with Tracer("trace", "--json", "-p", master.pid) as tracer:
        with open("/proc/%d/task/%d/children" % (master.pid, master.pid), encoding="ascii") as f:
            os.kill(int(f.read().split()[0]), signal.SIGTERM)
        until(answers, "the new worker answers")
        ask("/last")
        tracer.wait(1, '"/last"')
        paths = [record["path"] for record in records(tracer.end())]
    assert {"/ready", "/last"} <= set(paths), paths


def check_record():
    master = server()
    with Tracer("record", "-o", "/tmp/a.rec", "-p", master.pid) as tracer:
        for i in range(5):
            ask("/issue/%d" % i)
        tracer.end()


def check_replay():
    """Of what was recorded here; where that was refused, of a recording made elsewhere."""
    if not os.path.exists("/tmp/a.rec"):
        ended = run("replay", "--json", "--blocks", os.path.join(HERE, "blocks.rec"))
        with open(os.path.join(HERE, "blocks.json"), encoding="utf-8") as stream:
            assert ended.stdout == stream.read(), ended
        return
    ended = run("replay", "--json", "/tmp/a.rec")
    assert ended.returncode == 0, ended
    paths = sorted(record["path"] for record in records(ended.stdout))
    assert paths == ["/issue/%d" % i for i in range(5)], paths


def check_serve():
    master = server()
    with Tracer("serve", "--listen", "127.0.0.1:0", "-p", master.pid) as tracer:
        for _ in range(7):
            ask("/issue/1")
        where = re.search(r"serving on http://([^/]*)/", tracer.wait(1, "serving on", 1)).group(1)

        def page():
            connection = http.client.HTTPConnection(where, timeout=PATIENCE)
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        until(lambda: re.search(r'^wsgi_requests_total\{.*path_group="/issue/\{n\}".*\} 7$',
                                page(), re.M), "seven requests are counted")
        tracer.end()


def flame(*options, path="/spin/1500", function="shop.py"):
    master = server()
    with Tracer("flame", "--format", "folded", "-p", master.pid,
                *options) as tracer:
        ask(path)
        text = tracer.end()
    weights = {stack: float(weight) for stack, _, weight in
               (line.rpartition(" ") for line in text.splitlines())}
    assert weights, "no stack"
    inside = sum(weight for stack, weight in weights.items() if function in stack)
    assert inside > 0.8 * sum(weights.values()), text
    return text


def check_flame():
    assert "spin" in flame(function="spin")


def check_off_cpu():
    assert "sleep" in flame("--off-cpu", path="/doze/700", function="doze")


def check_wall_native():
    text = flame("--wall", "--native", path="/doze/700", function="doze")
    assert "nanosleep" in text, text  # a frame of the kernel's or the C library's


def check_wire():
    master = server(marked=False)
    with Tracer("trace", "--json", "-p", master.pid) as tracer:
        for i in range(5):
            ask("/issue/%d" % i)
        ask("/doze/300")
        tracer.wait(6, '"method"')
        found = records(tracer.end())
    found.sort(key=lambda record: record["path"])
    assert [record["path"] for record in found] == ["/doze/300"] + [
        "/issue/%d" % i for i in range(5)], found
    assert all((record["mode"], record["status"]) == ("wire", 200) for record in found), found
    assert found[0]["states_ms"]["sleep"] >= 200, found[0]


def check_run():
    server_stop()
    with Tracer("run", "--trace", "--json", "--", *gunicorn()) as tracer:
        until(answers, "gunicorn answers")
        ask("/issue/1")
        tracer.wait(1, '"/issue/1"')
        found = records(tracer.end())
    assert found[-1]["mode"] == "marker" and found[-1]["blocks"] == 3, found


def check_gone():
    """After all of this no probe is left."""
    with open("/sys/kernel/tracing/uprobe_events", encoding="utf-8") as stream:
        left = stream.read()
    assert not left, left


VERBS = [
    ("check", check_check), ("ps", check_ps), ("trace", check_trace), ("text", check_text),
    ("states", check_states), ("new worker", check_new_worker), ("record", check_record),
    ("replay", check_replay), ("serve", check_serve), ("flame", check_flame),
    ("off-cpu", check_off_cpu), ("wall, native", check_wall_native), ("wire", check_wire),
    ("run", check_run), ("nothing left", check_gone),
]


def main():
    for verb, function in VERBS:
        began, result, reason = time.monotonic(), "ok", ""
        try:
            function()
        except Refused as refused:
            result, reason = "refused", str(refused)
        except Exception as error:  # pylint: disable=broad-except
            result, reason = "failed", "%s: %s" % (type(error).__name__, error)
        print("RESULT\t%s\t%s\t%s" % (verb, result, " ".join(reason.split())[:1500]), flush=True)
        print("vm: %s took %.0f s" % (verb, time.monotonic() - began), flush=True)


if __name__ == "__main__":
    sys.exit(main())
