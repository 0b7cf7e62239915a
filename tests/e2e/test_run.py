# SPDX-License-Identifier: BSD-2-Clause
"""`wsgiscope run` and `python -m wsgiscope.run`: servers with applications that know nothing of the
marker are marked by them, once, and give the bytes that they give without."""
import http.client
import json
import os
import re
import signal
import subprocess
import urllib.request

import pytest

import client
import procs
import programs
import servers
from conftest import need_server
from tracer import BINARY, Tracer, run

RUN = [BINARY, "run", "--"]
WAYS = ["list", "chunks", "gen", "write", "file", "raise_call", "raise_later", "bytes"]
MODULE = [servers.PYTHON, "-m", "wsgiscope.run"]


def requests():
    return [client.Request(way, 2, 100) for way in WAYS]


def check_record(record, kind, request):
    assert (record["mode"], record["server"]) == ("marker", kind.record), record
    outcome = "exception" if request.way.startswith("raise") else "ok"
    assert record["outcome"] == outcome, record
    assert "nested" not in record["notes"], record


def wait_loaded(server):
    """mod_wsgi's processes load the application with their first requests, and with it the marker,
    which is armed a moment later where other servers have it too."""
    served = set()

    def all_have():
        asked = [client.Request("pid") for _ in range(16)]
        served.update(int(response.body) for response in client.load(server.address, asked, 8))
        return served >= set(server.workers())

    assert procs.until(all_have, 20), (served, server.workers())


def check_traced(server, prefix_pid=None):
    """Each request comes out once; the bytes are those of the server without us."""
    sent = requests()
    if server.kind.name.startswith("mod_wsgi"):
        wait_loaded(server)
    with Tracer("-p", prefix_pid or server.pid) as tracer:
        answers = client.load(server.address, sent, threads=2)
        found = tracer.wait([request.uid for request in sent])
        records = tracer.records()
    for request in sent:
        assert request.uid in found, (request.way, server.log()[-2000:])
        check_record(found[request.uid], server.kind, request)
    assert len([each for each in records if each["path"].rsplit("/", 1)[-1] in found]) == len(sent)
    return answers


@pytest.mark.parametrize("kind", servers.KINDS)
def test_every_server(wsgiscope, kind):
    need_server(kind)
    with servers.Server(kind, "plain", prefix=RUN) as server:
        answers = check_traced(server)
        assert "wsgiscope:" not in server.log()
    with servers.Server(kind, "plain") as server:
        plain = client.load(server.address, requests(), threads=2)
    chunks = not servers.KINDS[kind].framing
    for ours, theirs in zip(answers, plain):
        assert ours.normal(chunks) == theirs.normal(chunks), ours.request.way


@pytest.mark.parametrize("kind, options", [
    ("gunicorn-sync", ["--preload"]),
    ("gunicorn-gthread", ["--max-requests", "3"]),
    ("gunicorn-sync", ["--worker-class", "gevent"]),
    ("uwsgi", ["--lazy-apps"]),
])
def test_further_ways_of_workers(wsgiscope, kind, options):
    need_server(kind)
    if "gevent" in options:
        pytest.importorskip("gevent", reason="apt-get install python3-gevent")
    with servers.Server(kind, "plain", options, prefix=RUN) as server:
        check_traced(server)


@pytest.mark.parametrize("target", [
    ["--wsgi-file", os.path.join(servers.APPS, "matrix.py")],
    ["--file", os.path.join(servers.APPS, "matrix.py"), "--callable", "plain"],
    ["--module", "matrix", "--callable", "plain"],
    ["--wsgi", "matrix:plain"],
    ["--mount", "/=matrix:application", "--manage-script-name"],
])
def test_uwsgi_targets(wsgiscope, target, monkeypatch):
    need_server("uwsgi")
    original = servers.command_uwsgi

    def command(server):
        words = original(server)
        at = words.index("--module")
        return words[:at] + target + words[at + 2:]

    kind = servers.KINDS["uwsgi"]._replace(command=command)
    monkeypatch.setitem(servers.KINDS, "uwsgi", kind)
    with servers.Server("uwsgi", "plain", prefix=RUN) as server:
        check_traced(server)


@pytest.mark.parametrize("kind", ["mod_wsgi-embedded", "mod_wsgi-daemon"])
def test_mod_wsgi_callable_of_another_name(wsgiscope, folder, monkeypatch, kind):
    """Which Python is not told: mod_wsgi's events say at each request what is called."""
    need_server(kind)
    script = folder / "site.py"
    script.write_text("from matrix import plain as main\n")
    script.chmod(0o644)
    original = servers.KINDS[kind].command

    def command(server):
        words = original(server)
        path = os.path.join(server.directory, "httpd.conf")
        with open(path, encoding="ascii") as stream:
            text = stream.read().replace(os.path.join(servers.APPS, "matrix.py"), str(script))
        with open(path, "w", encoding="ascii") as stream:
            stream.write(text + "WSGICallableObject main\n"
                         "<Directory %s>\n    Require all granted\n</Directory>\n" % folder)
        return words

    monkeypatch.setitem(servers.KINDS, kind, servers.KINDS[kind]._replace(command=command))
    with servers.Server(kind, "plain", prefix=RUN) as server:
        check_traced(server)


@pytest.mark.parametrize("kind", ["gunicorn-sync", "uwsgi"])
def test_without_the_program(wsgiscope, marker, kind):
    """python -m wsgiscope.run: the marker is on the path, and still nobody imports it."""
    need_server(kind)
    path = ":".join([servers.HERE, servers.APPS, marker])
    with servers.Server(kind, "plain", environ={"PYTHONPATH": path}, prefix=MODULE) as server:
        check_traced(server)


@pytest.mark.parametrize("variant", ["marked", "oracle"])
def test_marked_already(wsgiscope, variant):
    """What the author has marked is marked once; his name for it is kept where he has one."""
    with servers.Server("gunicorn-sync", variant, prefix=RUN) as server:
        check_traced(server)


def test_name_inside_is_kept(wsgiscope, tmp_path):
    (tmp_path / "named.py").write_text(
        "import matrix\nfrom wsgiscope import mark\ninner = mark(matrix.plain, name='shop')\n"
        "def application(environ, start_response):\n    return inner(environ, start_response)\n")
    command = [*RUN, "/usr/bin/gunicorn", "--bind", "127.0.0.1:PORT", "named:application"]
    env = programs.environ(str(tmp_path), servers.marker_path())
    with programs.Program(command, env) as program:
        program.wait_ready()
        request = client.Request("list")
        with Tracer("-p", program.pid) as tracer:
            client.fetch(("127.0.0.1", program.port), request)
            record = tracer.wait([request.uid])[request.uid]
    assert record["app"] == "shop" and "nested" in record["notes"], record


def one_record(program, path, tracer_pid=None):
    with Tracer("-p", tracer_pid or program.pid) as tracer:
        try:
            status, _ = program.get(path)
        except http.client.RemoteDisconnected:  # Tornado, where the application raised
            status = None
        found = procs.until(lambda: [each for each in tracer.records() if each["path"] == path], 8)
        assert found, tracer.stderr() + program.stderr()
    assert len(found) == 1, found
    return status, found[0]


@pytest.mark.parametrize("kind", ["cheroot", "eventlet", "gevent", "tornado", "twisted", "waitress",
                                  "werkzeug", "wsgiref"])
def test_servers_started_by_programs(wsgiscope, kind):
    pytest.importorskip(kind, reason="apt-get install python3-" + kind)
    with programs.unaware(kind, *RUN) as program:
        program.wait_ready()
        status, record = one_record(program, "/one")
        assert (status, record["status"], record["blocks"]) == (200, 200, 1), record
        _, record = one_record(program, "/raise")
        assert record["outcome"] == "exception" and record["exception"] == "ValueError", record
        assert "wsgiscope:" not in program.stderr()


@pytest.mark.parametrize("options", [[], ["--reload"], ["--debugger"]])
def test_flask_run(wsgiscope, options):
    pytest.importorskip("flask", reason="apt-get install python3-flask")
    command = [*RUN, servers.PYTHON, "-m", "flask", "--app", "flask_site", "run", "-p", "PORT"]
    with programs.Program(command + options) as program:
        program.wait_ready()
        status, record = one_record(program, "/item/5")
    assert (status, record["route"]) == (200, "/item/<int:number>"), record
    assert record["server"] == "werkzeug", record


@pytest.mark.parametrize("options", [["--noreload"], []])
def test_django_runserver(wsgiscope, options):
    pytest.importorskip("django", reason="apt-get install python3-django")
    command = [*RUN, servers.PYTHON, "-m", "django_site", "runserver", *options, "127.0.0.1:PORT"]
    with programs.Program(command) as program:
        program.wait_ready()
        status, record = one_record(program, "/item/5")
    assert (status, record["route"]) == (200, "item/<int:number>"), record


# --- the environment, and what may go wrong ------------------------------------------------------

SHOW = ("import sys, os; print(os.environ.get('PYTHONPATH')); print(sys.path); "
        "print('threading' in sys.modules, 'wsgiscope' in sys.modules); "
        "print(getattr(sys.modules.get('sitecustomize'), '__file__', None))")


def show(*flags, **env):
    environ = {"PATH": "/usr/bin:/bin", **env}
    done = run("run", "--", servers.PYTHON, *flags, "-c", SHOW, env=environ)
    plain = procs_output([servers.PYTHON, *flags, "-c", SHOW], environ)
    return done, done.stdout.splitlines(), plain


def procs_output(command, environ):
    return subprocess.run(command, env=environ, capture_output=True, text=True,
                          check=True).stdout.splitlines()


@pytest.mark.parametrize("before", [None, "", "/nowhere", "/nowhere:/usr/share"])
def test_nothing_else_changes(wsgiscope, before):
    """sys.path, what is imported and the sitecustomize are what they are without us; PYTHONPATH has
    one directory more, and never a place that is empty (which would be the current directory)."""
    done, lines, plain = show(**({} if before is None else {"PYTHONPATH": before}))
    assert done.returncode == 0 and done.stderr == "", done
    hook, _, rest = lines[0].partition(":")
    assert os.path.exists(os.path.join(hook, "sitecustomize.py"))
    assert rest == (before or "") and not lines[0].endswith(":"), lines[0]
    assert lines[1:3] == plain[1:3]
    if plain[3] != "None":
        assert lines[3] == plain[3]


def test_existing_sitecustomize_runs(wsgiscope, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.theirs = __name__, __file__\n")
    done = run("run", "--", servers.PYTHON, "-c",
               "import sys; print(sys.theirs); print(sys.modules['sitecustomize'].__file__); "
               "import sitecustomize; print(sitecustomize.__file__)",
               env={"PATH": "/usr/bin", "PYTHONPATH": str(tmp_path)})
    theirs = str(tmp_path / "sitecustomize.py")
    assert done.stdout.splitlines() == [str(("sitecustomize", theirs)), theirs, theirs], done


def test_broken_sitecustomize_is_as_broken_as_before(wsgiscope, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('theirs')\n")
    env = {"PATH": "/usr/bin", "PYTHONPATH": str(tmp_path)}
    done = run("run", "--", servers.PYTHON, "-c", "print('goes on')", env=env)
    assert done.stdout == "goes on\n" and "ValueError: theirs" in done.stderr, done


@pytest.mark.parametrize("flags", [["-E"], ["-I"], ["-S"], ["-sE"], ["-X", "dev", "-I"]])
def test_interpreter_that_leaves_the_hook_out(wsgiscope, flags):
    done, _, _ = show(*flags, PYTHONPATH="/nowhere")
    assert done.returncode == 0, done
    first = done.stderr.splitlines()[0]
    assert re.match(r"wsgiscope: warning: \S+ starts Python with -[EIS]", first), done.stderr


def test_script_that_leaves_the_hook_out(wsgiscope, tmp_path):
    script = tmp_path / "serve"
    script.write_text("#!%s -I\nprint('goes on')\n" % servers.PYTHON)
    script.chmod(0o755)
    done = run("run", script)
    assert done.stdout == "goes on\n" and "starts Python with -I" in done.stderr, done


def test_marker_that_cannot_be_loaded(wsgiscope, tmp_path):
    """One line, and the server serves."""
    (tmp_path / "wsgiscope").mkdir()
    (tmp_path / "wsgiscope/__init__.py").write_text("raise ImportError('of another world')\n")
    env = programs.environ(str(tmp_path))
    with programs.unaware("wsgiref", *RUN, env=env) as program:
        program.wait_ready()
        assert program.get("/one")[0] == program.get("/two")[0] == 200
        said = [line for line in program.stderr().splitlines() if line.startswith("wsgiscope:")]
    assert len(said) == 1 and "of another world; the application is not marked" in said[0], said


def test_hook_that_is_broken(wsgiscope, tmp_path):
    """A server whose module is not as expected: one line, and it serves."""
    (tmp_path / "sitecustomize.py").write_text(
        "import _wsgiscope_hook as hook\n"
        "hook.SERVERS['wsgiref.simple_server'] = ('NoSuchClass', 'x', 1, 'y')\n")
    with programs.unaware("wsgiref", *RUN, env=programs.environ(str(tmp_path))) as program:
        program.wait_ready()
        assert program.get("/one")[0] == 200
        said = [line for line in program.stderr().splitlines() if line.startswith("wsgiscope:")]
    assert len(said) == 1 and "NoSuchClass" in said[0], said


@pytest.mark.parametrize("words, status, said", [
    ([], 2, "needs a command"),
    (["--"], 2, "needs a command"),
    (["--trace", "--"], 2, "needs a command"),
    (["--trace", "--serve", "--", "true"], 2, "one of them at a time"),
    (["--no-such", "--", "true"], 2, "unknown option"),
    (["--trace", "--no-such", "--", "true"], 2, "unknown option"),
    (["--marker", "/nowhere", "--", "true"], 1, "no package wsgiscope"),
    (["--", "no-such-command"], 127, "cannot run no-such-command: No such file"),
    (["--", "/nowhere/at/all"], 127, "cannot run"),
    (["--trace", "--", "no-such-command"], 127, "cannot run no-such-command"),
    (["--", "/etc/passwd"], 126, "Permission denied"),
])
def test_wrong_usage(wsgiscope, words, status, said):
    done = run("run", *words)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (status, "", 1), done
    assert lines[0].startswith("wsgiscope: ") and said in lines[0], lines


@pytest.mark.parametrize("words", [[], ["-x"]])
def test_module_wrong_usage(wsgiscope, marker, words):
    env = programs.environ(marker)
    done = subprocess.run(MODULE + words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("usage: "), done
    for command, status in (["no-such-command"], 127), (["/etc/passwd"], 126):
        done = subprocess.run(MODULE + command, env=env, capture_output=True, text=True,
                              check=False)
        assert done.returncode == status and done.stderr.startswith("wsgiscope: cannot run"), done


# --- with a tracer beside it ---------------------------------------------------------------------

def launched(*words, kind="wsgiref", env=None):
    return programs.unaware(kind, BINARY, "run", *words, "--", env=env)


def records(program):
    return [json.loads(line) for line in program.stdout().splitlines() if '"method"' in line]


@pytest.mark.parametrize("kind", ["wsgiref", "waitress"])
def test_trace(wsgiscope, kind):
    with launched("--trace", "--json", kind=kind) as program:
        program.wait_ready()
        assert procs.until(lambda: program.get("/seen") and any(
            each["path"] == "/seen" for each in records(program)), 8, 0.1), program.stderr()
    assert program.process.returncode == 128 + signal.SIGTERM


def test_trace_gunicorn_from_its_first_request(wsgiscope):
    command = [BINARY, "run", "--trace", "--json", "--", "/usr/bin/gunicorn", "--workers", "2",
               "--bind", "127.0.0.1:PORT", "unaware:application"]
    with programs.Program(command) as program:
        program.wait_ready()
        for index in range(10):
            program.get("/first/%d" % index)
        paths = {"/"} | {"/first/%d" % index for index in range(10)}
        assert procs.until(lambda: paths <= {each["path"] for each in records(program)}, 8), (
            paths - {each["path"] for each in records(program)}, program.stderr())
    assert program.process.returncode == 0


def test_serve(wsgiscope):
    with launched("--serve", "--listen", "127.0.0.1:0") as program:
        program.wait_ready()
        assert procs.until(lambda: "serving on" in program.stderr(), 10), program.stderr()
        address = re.search(r"serving on http://127.0.0.1:(\d+)/", program.stderr())[1]
        page = "http://127.0.0.1:%s/metrics" % address

        def is_counted():
            program.get("/counted")
            return b"/counted" in urllib.request.urlopen(page, timeout=5).read()

        assert procs.until(is_counted, 8, 0.1)


def test_flame(wsgiscope, tmp_path):
    out = tmp_path / "out.folded"
    with launched("--flame", "--wall", "-o", str(out)) as program:
        program.wait_ready()
        for _ in range(5):
            program.get("/slow")
    assert out.exists() and "application" in out.read_text(), program.process.returncode


def test_status_is_the_servers(wsgiscope):
    for code in (0, 3):
        done = run("run", "--trace", "--", servers.PYTHON, "-c", "raise SystemExit(%d)" % code)
        assert done.returncode == code, done
    done = run("run", "--trace", "--", "sh", "-c", "kill -USR1 $$")
    assert done.returncode == 128 + signal.SIGUSR1, done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_handed_on_once(wsgiscope, number, tmp_path):
    code = ("import signal, sys, time; got = []\n"
            "signal.signal(%d, lambda *_: got.append(1))\n"
            "print('ready', flush=True)\n"
            "end = time.monotonic() + 10\n"
            "while not got and time.monotonic() < end: time.sleep(0.01)\n"
            "time.sleep(0.2); sys.exit(40 + len(got))" % number)
    command = [BINARY, "run", "--trace", "--", servers.PYTHON, "-c", code]
    with programs.Program(command) as program:
        assert procs.until(lambda: "ready" in program.stdout(), 15), program.stderr()
        program.process.send_signal(number)
        assert program.process.wait(15) == 41, program.stderr()


def test_tracer_that_fails_leaves_the_server(wsgiscope):
    """Without the privilege to trace: said, and the server serves, marked."""
    prefix = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", BINARY, "run", "--trace",
              "--"]
    with programs.unaware("wsgiref", *prefix) as program:
        program.wait_ready()
        assert program.get("/served")[0] == 200
        assert "runs, and is not traced" in program.stderr()
        assert procs.until(lambda: any(procs.maps(pid, "_marker")
                                       for pid in procs.tree(program.pid)), 5)


def test_tracer_that_is_killed_leaves_the_server(wsgiscope):
    with launched("--trace") as program:
        program.wait_ready()
        tracer = next(pid for pid in procs.tree(program.pid) if pid != program.pid
                      and procs.cmdline(pid).split(b"\0")[0] == BINARY.encode()
                      and procs.parent(pid) == program.pid)
        os.kill(tracer, signal.SIGKILL)
        assert procs.until(lambda: "goes on" in program.stderr(), 10), program.stderr()
        assert program.get("/served")[0] == 200


def test_run_that_is_killed_takes_its_tracer_along(wsgiscope):
    with launched("--trace") as program:
        program.wait_ready()
        tree = [pid for pid in procs.tree(program.pid) if pid != program.pid]
        tracers = [pid for pid in tree if procs.cmdline(pid).startswith(BINARY.encode())]
        servers_left = [pid for pid in tree if pid not in tracers]
        os.kill(program.pid, signal.SIGKILL)
        program.process.wait()
        assert not procs.wait_gone(tracers, 15)
        for pid in servers_left:
            procs.send(pid, signal.SIGTERM)
