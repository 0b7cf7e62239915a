# SPDX-License-Identifier: BSD-2-Clause
"""The servers of each Python that is there: what they are, how they are started. Must not know what
is looked at."""
import contextlib
import os
import tempfile
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
HOST_PYTHON = "/usr/bin/python3"
UNSTRIPPED = "/unstripped"  # of pythons.sh; what it has is found there before it is in /usr
UNSTRIPPED_ENV = ["env", f"PATH={UNSTRIPPED}:/usr/bin:/bin", f"LD_LIBRARY_PATH={UNSTRIPPED}",
                  "PYTHONHOME=/usr"]
THREADS = 4
PACKAGES = "packages"  # of builds.sh
NO_GIL_SEEN = ("t", "td", "-musl")  # how builds are called whose GIL is off, or cannot be told

# What must be there for it, below the root folder.
PROGRAMS = {"gunicorn": "usr/bin/gunicorn",
            "uwsgi": "usr/lib/uwsgi/plugins/python{digits}_plugin.so",
            "mod_wsgi": "usr/lib/apache2/modules/mod_wsgi.so-{version}"}

APACHE_CONFIG = """
ServerRoot {folder}
PidFile {folder}/apache.pid
ServerName localhost
Listen 127.0.0.1:{port}
User www-data
Group www-data
ErrorLog /dev/stderr
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule wsgi_module /{module}
StartServers 1
WSGISocketPrefix {folder}/wsgi
WSGIDaemonProcess check processes=1 threads={threads} python-path={path}
WSGIScriptAlias / {script} process-group=check application-group=check
<Directory {scripts}>
    Require all granted
</Directory>
"""


class Case(NamedTuple):
    version: str
    kind: str  # gunicorn, uwsgi, mod_wsgi or waitress, as the records name it
    unstripped: bool
    prefix: list  # what runs a command in that Python's folder
    program: str  # of PROGRAMS; of a build, its interpreter

    @property
    def gil_seen(self):
        """Whether waiting for the GIL is told on it: a build may have none, or hide it."""
        return not self.version.endswith(NO_GIL_SEEN)


def case_name(case):
    return f"{case.version + (' unstripped' if case.unstripped else ''):17}{case.kind:10}"


def version_of(name):
    """The number that files have in their names."""
    if name != "host":
        return name
    target = os.path.basename(os.path.realpath(HOST_PYTHON))
    return target.removeprefix("python")


def gunicorn_command(case, port, script):
    python = HOST_PYTHON if case.version == "host" else f"python{case.version}"
    return [python, "/usr/bin/gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1",
            "--worker-class", "gthread", "--threads", str(THREADS), "--graceful-timeout", "2",
            f"{os.path.basename(script)[:-3]}:application"]


def uwsgi_command(case, port, script):
    plugin = os.path.basename(case.program).removesuffix("_plugin.so")
    return ["uwsgi", "--plugin", plugin, "--http-socket", f"127.0.0.1:{port}", "--master",
            "--processes", "1", "--threads", str(THREADS), "--enable-threads", "--die-on-term",
            "--need-app", "--disable-logging", "--module",
            f"{os.path.basename(script)[:-3]}:application"]


def waitress_command(case, port, script):
    return [case.program, "-m", "waitress", "--listen", f"127.0.0.1:{port}", "--threads",
            str(THREADS), f"{os.path.basename(script)[:-3]}:application"]


def apache_command(case, port, script, folder, path):
    config = os.path.join(folder, "httpd.conf")
    with open(config, "w", encoding="ascii") as stream:
        stream.write(APACHE_CONFIG.format(
            folder=folder, port=port, module=case.program, threads=THREADS, path=path,
            script=script, scripts=os.path.dirname(script)))
    return ["/usr/sbin/apache2", "-f", config, "-DFOREGROUND"]


@contextlib.contextmanager
def server_command(case, port, script, marker):
    """(command, environment) of the case's server with the application of a script; the marker is
    on its path."""
    path = os.pathsep.join([marker, os.path.dirname(script)])
    env = dict(os.environ, PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
    with tempfile.TemporaryDirectory(prefix="wsgiscope-pythons-") as folder:
        os.chmod(folder, 0o755)  # Apache's workers are not root
        if case.kind == "gunicorn":
            command = gunicorn_command(case, port, script)
        elif case.kind == "uwsgi":
            command = uwsgi_command(case, port, script)
        elif case.kind == "waitress":
            packages = os.path.join(os.environ["PYTHONS"], PACKAGES)
            env["PYTHONPATH"] = os.pathsep.join([path, packages])
            command = waitress_command(case, port, script)
        else:
            command = apache_command(case, port, script, folder, path)
        yield [*case.prefix, *command], env


def cases(pythons, versions):
    """Each server of each Python, stripped and not; what is not there is said."""
    for version in versions:
        build = os.path.join(pythons, version, "bin/python")
        if os.path.exists(build):  # builds.sh made it
            yield Case(version, "waitress", False, [], build)
            continue
        root = "/" if version == "host" else os.path.join(pythons, version)
        prefix = [] if version == "host" else [os.path.join(HERE, "pythons.sh"), "run", version]
        number = version_of(version)
        for kind, pattern in PROGRAMS.items():
            program = pattern.format(version=number, digits=number.replace(".", ""))
            if not os.path.lexists(os.path.join(root, program)):
                print(f"{version:17}{kind:10}SKIPPED: no {program} in {root}")
                continue
            yield Case(version, kind, False, prefix, program)
            if prefix:
                yield Case(version, kind, True, prefix + UNSTRIPPED_ENV, program)
