# SPDX-License-Identifier: BSD-2-Clause
"""The hook that `run` puts first on PYTHONPATH, by itself: in this interpreter, each test in a
process of its own. What it does to real servers is the end-to-end tests'."""

import os
import subprocess
import sys
import zipfile

import pytest

from conftest import BUILD

PACKAGES = os.path.join(BUILD, "python")
AUTO = os.path.join(PACKAGES, "wsgiscope/auto")

SERVER = """
class WSGIServer:
    def set_app(self, application):
        "theirs"
        self.application = application
"""


def python(code, *path, status=0, flags=()):
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join([AUTO, *map(str, path)]),
           "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *flags, "-c", code], env=env, capture_output=True,
                          text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


def said(code, *path):
    done = python(code, *path)
    assert done.stderr == "", done.stderr
    return done.stdout.split()


IS_MARKED = "type(server.application).__module__ == 'wsgiscope._marker'"


def test_server_is_patched_and_looks_as_before():
    assert said(
        "from wsgiref.simple_server import WSGIServer\n"
        "import wsgiref.simple_server as module, inspect\n"
        "server = WSGIServer.__new__(WSGIServer); server.set_app(len)\n"
        f"print({IS_MARKED}, server.application([1]))\n"
        "print(list(inspect.signature(WSGIServer.set_app).parameters))\n"
        "print('exec_module' in vars(module.__loader__), WSGIServer.set_app.__qualname__)"
    ) == ["True", "1", "['self',", "'application']", "False", "WSGIServer.set_app"]


def test_keyword_argument_is_marked_too():
    assert said("from wsgiref.simple_server import WSGIServer\n"
                "server = WSGIServer.__new__(WSGIServer); server.set_app(application=len)\n"
                f"print({IS_MARKED})") == ["True"]


def test_marker_is_loaded_with_a_server_and_not_before():
    assert said("import sys, wsgiref.util; print('wsgiscope' in sys.modules)\n"
                "import wsgiref.simple_server; print('wsgiscope' in sys.modules)"
                ) == ["False", "True"]


def test_what_is_no_wsgi_application_is_left_alone():
    assert said(
        "import _wsgiscope_hook as hook\n"
        "async def function(scope, receive, send): pass\n"
        "class Application:\n"
        "    async def __call__(self, scope, receive, send): pass\n"
        "one = Application()\n"
        "print(hook.marked(function) is function, hook.marked(one) is one, "
        "hook.marked(None) is None, hook.marked(5) == 5)", AUTO
    ) == ["True"] * 4


def test_marked_is_not_marked_again():
    assert said("import _wsgiscope_hook as hook\n"
                "one = hook.marked(len); print(one is not len, hook.marked(one) is one)",
                AUTO) == ["True", "True"]


def test_reload_is_patched_again():
    assert said("import importlib, wsgiref.simple_server as module\n"
                "importlib.reload(module)\n"
                "server = module.WSGIServer.__new__(module.WSGIServer); server.set_app(len)\n"
                f"print({IS_MARKED})") == ["True"]


def test_module_out_of_a_zip(tmp_path):
    """All modules of a zip file have one loader: only the server's is patched."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("waitress/__init__.py", "import waitress.server, waitress.other\n")
        archive.writestr("waitress/other.py", "value = 1\n")
        archive.writestr("waitress/server.py", "import waitress.early\n" + SERVER.replace(
            "WSGIServer", "BaseWSGIServer").replace("set_app", "__init__"))
        archive.writestr("waitress/early.py", "value = 2\n")
    assert said("from waitress.server import BaseWSGIServer\nimport waitress\n"
                "server = BaseWSGIServer(len)\n"
                f"print({IS_MARKED}, waitress.other.value, waitress.early.value)",
                tmp_path / "all.zip") == ["True", "1", "2"]


def test_server_that_cannot_be_imported_is_said_by_itself_alone(tmp_path):
    (tmp_path / "waitress").mkdir()
    (tmp_path / "waitress/__init__.py").write_text("")
    (tmp_path / "waitress/server.py").write_text("raise KeyError('theirs')\n")
    done = python("import waitress.server", tmp_path, status=1)
    assert "KeyError: 'theirs'" in done.stderr and "wsgiscope:" not in done.stderr
    python("try:\n    import gunicorn_there_is_none\nexcept ImportError: pass\n"
           "import importlib.util; assert importlib.util.find_spec('cheroot_no') is None")


def test_sitecustomize_of_others_and_errors_of_ours(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.theirs = True\n")
    assert said("import sys; print(sys.theirs, [p for p in sys.path if 'auto' in p])",
                tmp_path) == ["True", "[]"]
    (tmp_path / "first").mkdir()
    (tmp_path / "first/_wsgiscope_hook.py").write_text("def install(): raise OSError('ours')\n")
    env = {"PYTHONPATH": f"{tmp_path}/first:{AUTO}:{tmp_path}"}
    done = subprocess.run([sys.executable, "-c", "import sys; print(sys.theirs)"], env=env,
                          capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert done.stderr == "wsgiscope: the application is not marked: OSError: ours\n"


def test_two_of_us_are_one():
    assert said("import sys; print(sum(type(f).__name__ == 'Finder' for f in sys.meta_path))",
                AUTO, AUTO) == ["1"]


WATCH = """
import sys, _wsgiscope_hook as hook
way = %s
namespace, seen = {"__builtins__": __builtins__}, []
def helper():
    return [x for x in range(3)]
code = compile(%r, "script", "exec")
namespace["helper"] = helper
way(namespace, lambda: seen.append(namespace.get("application")))
try:
    exec(code, namespace)
except ValueError:
    pass
helper()
print(seen, sys.gettrace(), end=" ")
if hasattr(sys, "monitoring"):
    print([sys.monitoring.get_tool(i) for i in range(6)].count("wsgiscope"), end=" ")
"""


@pytest.mark.parametrize("way", ["watch_by_trace"] + (
    ["watch_by_monitoring"] if hasattr(sys, "monitoring") else []))
def test_moment_at_which_code_has_run(way):
    """Once, at its end, with what it has defined; nothing stays behind, also where it raised."""
    source = "application = 1\ndef f():\n    return helper()\nf()\napplication = 2\n"
    assert said(WATCH % ("hook." + way, source), AUTO)[:2] == ["[2]", "None"]
    raised = said(WATCH % ("hook." + way, "application = 1\nraise ValueError\n"), AUTO)
    assert raised[0] in ("[]", "[1]") and raised[1] == "None"
    assert raised[2:] in ([], ["0"])


def test_another_trace_function_is_left_alone():
    done = python("import sys, _wsgiscope_hook as hook\n"
                  "theirs = lambda *_: None\nsys.settrace(theirs)\n"
                  "try:\n    hook.watch_by_trace({}, print)\nexcept RuntimeError as e: print(e)\n"
                  "print(sys.gettrace() is theirs)", AUTO)
    assert done.stdout == "another trace function is set\nTrue\n", done
