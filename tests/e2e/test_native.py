# SPDX-License-Identifier: BSD-2-Clause
"""The ways of doc/marking.md by which a server's own configuration puts the marker around an
application that knows nothing of it."""
import os

import pytest

import client
import procs
import programs
import servers
from conftest import need_server
from tracer import Tracer

MARKED = "import matrix\nfrom wsgiscope import mark\napplication = mark(matrix.plain)\n"
GUNICORN_HOOK = """
def post_worker_init(worker):
    from wsgiscope import mark
    worker.wsgi = mark(worker.wsgi)
"""
FACTORY = """
def create():
    import matrix
    from wsgiscope import mark
    return mark(matrix.plain)
"""
EVENTS = """
import mod_wsgi
from wsgiscope import mark

def on_event(name, **event):
    if name == "request_started":
        return {"application_object": mark(event["application_object"])}

mod_wsgi.subscribe_events(on_event)
"""


def check(address, pid):
    request = client.Request("gen", 3, 100)
    with Tracer("-p", pid) as tracer:
        assert client.fetch(address, request).status == 200
        record = tracer.wait([request.uid]).get(request.uid)
        assert record, tracer.stderr()
    assert (record["mode"], record["blocks"], record["bytes"]) == ("marker", 3, 300), record


def check_program(command, folder):
    env = programs.environ(str(folder), servers.marker_path())
    with programs.Program(command, env, folder) as program:
        program.wait_ready()
        check(("127.0.0.1", program.port), program.pid)


GUNICORN = ["/usr/bin/gunicorn", "--bind", "127.0.0.1:PORT"]


@pytest.mark.parametrize("options", [
    [], ["--preload"], ["--worker-class", "gthread", "--threads", "2"],
    ["--worker-class", "gevent"],
])
def test_gunicorn_hook(wsgiscope, folder, options):
    if "gevent" in options:
        pytest.importorskip("gevent", reason="apt-get install python3-gevent")
    (folder / "conf.py").write_text(GUNICORN_HOOK)
    check_program([*GUNICORN, "-c", folder / "conf.py", *options, "matrix:plain"], folder)


def test_gunicorn_wsgi_app(wsgiscope, folder):
    (folder / "marked_shop.py").write_text(MARKED)
    (folder / "conf.py").write_text("wsgi_app = 'marked_shop:application'\n")
    check_program([*GUNICORN, "-c", folder / "conf.py"], folder)


@pytest.mark.parametrize("target", [["--module", "marked_shop"],
                                    ["--wsgi-file", "marked_shop.py"]])
def test_uwsgi(wsgiscope, folder, target):
    need_server("uwsgi")
    (folder / "marked_shop.py").write_text(MARKED)
    check_program(["/usr/bin/uwsgi", "--plugin", "python3", "--http-socket", "127.0.0.1:PORT",
                   "--need-app", "--die-on-term", "--master", *target], folder)


def test_waitress_factory(wsgiscope, folder):
    need_server("waitress")
    (folder / "marked.py").write_text(FACTORY)
    check_program(["/usr/bin/waitress-serve", "--listen=127.0.0.1:PORT", "--call",
                   "marked:create"], folder)


@pytest.mark.parametrize("kind", ["mod_wsgi-embedded", "mod_wsgi-daemon"])
@pytest.mark.parametrize("way", ["script", "events"])
def test_mod_wsgi(wsgiscope, folder, monkeypatch, kind, way):
    need_server(kind)
    script = folder / "mark.py"
    script.write_text(MARKED if way == "script" else EVENTS)
    script.chmod(0o644)
    original = servers.KINDS[kind].command

    def command(server):
        """The script stands in for the application's, or is imported into its group beside it."""
        words = original(server)
        path = os.path.join(server.directory, "httpd.conf")
        with open(path, encoding="ascii") as stream:
            text = stream.read()
        theirs = os.path.join(servers.APPS, "matrix.py")
        if way == "script":
            text = text.replace(theirs, str(script))
            text += "<Directory %s>\n    Require all granted\n</Directory>\n" % folder
        else:
            line = next(line for line in text.splitlines() if line.startswith("WSGIImportScript"))
            text += line.replace(theirs, str(script)) + "\n"
        with open(path, "w", encoding="ascii") as stream:
            stream.write(text)
        return words

    monkeypatch.setitem(servers.KINDS, kind, servers.KINDS[kind]._replace(command=command))
    path = ":".join([servers.HERE, servers.APPS, servers.marker_path()])
    with servers.Server(kind, "plain", environ={"PYTHONPATH": path}) as server:
        procs.until(lambda: all(procs.maps(pid, "_marker") for pid in server.workers()), 10)
        check(server.address, server.pid)


def test_django_wsgi_application(wsgiscope, folder):
    pytest.importorskip("django", reason="apt-get install python3-django")
    env = programs.environ(servers.marker_path(), DJANGO_APPLICATION="django_site.marked")
    command = [servers.PYTHON, "-m", "django_site", "runserver", "--noreload", "127.0.0.1:PORT"]
    with programs.Program(command, env) as program:
        program.wait_ready()
        with Tracer("-p", program.pid) as tracer:
            assert program.get("/item/5") == (200, b"item 5")
            assert procs.until(tracer.records, 8), tracer.stderr()
            record = tracer.records()[0]
    assert (record["app"], record["route"]) == ("django", "item/<int:number>"), record


def test_flask_wsgi_app(wsgiscope, folder):
    pytest.importorskip("flask", reason="apt-get install python3-flask")
    (folder / "site_marked.py").write_text(
        "from flask_site import app\nfrom wsgiscope import mark\n"
        "app.wsgi_app = mark(app.wsgi_app)\n")
    env = programs.environ(str(folder), servers.marker_path())
    command = [servers.PYTHON, "-m", "flask", "--app", "site_marked:app", "run", "-p", "PORT"]
    with programs.Program(command, env) as program:
        program.wait_ready()
        with Tracer("-p", program.pid) as tracer:
            assert program.get("/item/5") == (200, b"item 5")
            assert procs.until(tracer.records, 8), tracer.stderr()
            record = tracer.records()[0]
    assert record["route"] == "/item/<int:number>", record
