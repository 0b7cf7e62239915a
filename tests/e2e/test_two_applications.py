# SPDX-License-Identifier: BSD-2-Clause
"""Two applications in one process, by the ways in which servers and frameworks do that: each
request is one record, with the name that its own application was given."""
import os

import pytest

import client
import programs
import servers
from conftest import need_server
from tracer import Tracer

NAMED = "import matrix\nfrom wsgiscope import mark\napplication = mark(matrix.plain, name=%r)\n"
DISPATCHER = """
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from wsgiscope import mark
import matrix
import one
import two
application = DispatcherMiddleware(
    mark(matrix.plain, name="root"), {"/one": one.application, "/two": two.application})
"""
AROUND = "\nwhole = mark(application, name='whole')\nunnamed = mark(application)\n"


@pytest.fixture
def modules(folder):
    """`one` and `two`, marked by these names."""
    for name in ("one", "two"):
        (folder / (name + ".py")).write_text(NAMED % name)
        (folder / (name + ".py")).chmod(0o644)
    return folder


def asked_of(prefix):
    request = client.Request("gen", 3, 100)
    request.target = prefix + request.target
    return request


def check(address, pid, names, before=lambda: None):
    """names: {prefix of the path: name of the application}; at the same time, each one record."""
    before()
    sent = [(asked_of(prefix), name) for prefix, name in names.items() for _ in range(6)]
    with Tracer("-p", pid) as tracer:
        responses = client.load(address, [each for each, _ in sent], threads=4)
        tracer.wait([each.uid for each, _ in sent])
        records = tracer.records()
        assert tracer.stop() == 0 and not tracer.lost_requests(), tracer.stderr()
    for (each, name), response in zip(sent, responses):
        assert response.status == 200 and response.body == b"".join(
            letter * 100 for letter in (b"A", b"B", b"C"))
        found = [record for record in records if record["path"] == each.target]
        assert len(found) == 1, (each.target, found)
        record = found[0]
        assert (record["app"], record["blocks"], record["bytes"]) == (name, 3, 300), record


def check_program(command, folder, names):
    env = programs.environ(str(folder), servers.HERE, servers.marker_path())
    with programs.Program(command, env, folder) as program:
        program.wait_ready()
        check(("127.0.0.1", program.port), program.pid, names)


@pytest.mark.parametrize("target, names", [
    ("application", {"": "root", "/one": "one", "/two": "two"}),
    ("whole", {"": "whole", "/one": "whole", "/two": "whole"}),
    ("unnamed", {"": "root", "/one": "one", "/two": "two"}),
])
def test_dispatcher(wsgiscope, modules, target, names):
    """Each marked by itself; or a mark around all, which has the name if it was given one."""
    pytest.importorskip("werkzeug", reason="apt-get install python3-werkzeug")
    (modules / "dispatching.py").write_text(DISPATCHER + AROUND)
    check_program(["/usr/bin/gunicorn", "--bind", "127.0.0.1:PORT", "--worker-class", "gthread",
                   "--threads", "4", "dispatching:" + target], modules, names)


def test_uwsgi_mounts(wsgiscope, modules):
    """uWSGI gives each its own interpreter, if it is not told otherwise."""
    need_server("uwsgi")
    mounts = ["--mount", "/one=one:application", "--mount", "/two=two:application"]
    for options in ([], ["--single-interpreter"]):
        check_program(["/usr/bin/uwsgi", "--plugin", "python3", "--http-socket", "127.0.0.1:PORT",
                       "--die-on-term", "--master", "--enable-threads", "--threads", "4",
                       "--manage-script-name", *mounts, *options], modules,
                      {"/one": "one", "/two": "two"})


@pytest.mark.parametrize("kind", ["mod_wsgi-embedded", "mod_wsgi-daemon"])
def test_mod_wsgi_interpreters(wsgiscope, modules, monkeypatch, kind):
    """Several interpreters of one process, each with its application and its own marker."""
    need_server(kind)
    original = servers.KINDS[kind].command

    def command(server):
        words = original(server)
        path = os.path.join(server.directory, "httpd.conf")
        with open(path, encoding="ascii") as stream:
            lines = stream.read().splitlines()
        at = next(index for index, line in enumerate(lines) if line.startswith("WSGIScriptAlias"))
        for name in ("one", "two"):
            lines[at:at] = [
                line.replace(os.path.join(servers.APPS, "matrix.py"), str(modules / name) + ".py")
                .replace("WSGIScriptAlias / ", "WSGIScriptAlias /%s " % name)
                .replace("application-group=e2e", "application-group=" + name)
                for line in lines[at:] if line.startswith("WSGI") and "matrix.py" in line]
        lines += ["<Directory %s>" % modules, "Require all granted", "</Directory>"]
        with open(path, "w", encoding="ascii") as stream:
            stream.write("\n".join(lines) + "\n")
        return words

    monkeypatch.setitem(servers.KINDS, kind,
                        servers.KINDS[kind]._replace(command=command))
    with servers.Server(kind) as server:
        check(server.address, server.pid, {"": None, "/one": "one", "/two": "two"})
