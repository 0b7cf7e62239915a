# SPDX-License-Identifier: BSD-2-Clause
"""The systemd unit in contrib: it says what systemd understands, and what it takes away is not
needed. systemd itself does not run here: its sandbox is tried piece by piece."""
import os
import re
import shutil
import subprocess

import pytest

from daemon import Daemon
from servers import ROOT
from test_serve import KEPT, REQUESTS, send
from tracer import BINARY

UNIT = os.path.join(ROOT, "contrib/wsgiscope.service")


def setting(name):
    """The words of a setting, of all its lines."""
    with open(UNIT, encoding="utf-8") as stream:
        return [word for line in re.findall(rf"^{name}=(.*)$", stream.read(), re.M)
                for word in line.split()]


@pytest.fixture(scope="module")
def server(pool, wsgiscope):
    return pool("gunicorn-sync", "marked")


@pytest.fixture
def systemd_analyze():
    program = shutil.which("systemd-analyze")
    if not program:
        pytest.skip("systemd-analyze is missing (apt-get install systemd)")
    return program


def test_unit_is_sound(systemd_analyze, tmp_path):
    """As it would be installed: the program and its manual page are not there yet."""
    unit = tmp_path / "wsgiscope.service"
    with open(UNIT, encoding="utf-8") as stream:
        text = stream.read().replace("/usr/local/sbin/wsgiscope", BINARY)
    unit.write_text(re.sub("^Documentation=.*\n", "", text, flags=re.M), encoding="utf-8")
    found = subprocess.run([systemd_analyze, "verify", unit], capture_output=True, text=True,
                           check=False)
    said = [line for line in found.stderr.splitlines() if "wsgiscope" in line]
    assert found.returncode == 0 and not said, found.stderr


def test_unit_gives_what_is_kept():
    """The same list in the unit and in user/privilege.c, as the kernel shows it there."""
    assert {name.removeprefix("CAP_").lower()
            for name in setting("CapabilityBoundingSet")} == KEPT
    assert setting("NoNewPrivileges") == ["yes"]
    assert setting("ProtectSystem") == ["strict"]


def confined(*command):
    """The command as root with the unit's capabilities alone, never to get another."""
    names = [name.removeprefix("CAP_").lower() for name in setting("CapabilityBoundingSet")]
    return ["setpriv", "--no-new-privs", "--inh-caps=-all",
            "--bounding-set=-all," + ",".join("+" + name for name in names), *command]


class Confined(Daemon):
    def __init__(self, prefix, *args):
        super().__init__(*args)
        self.command = prefix + self.command


def test_units_capabilities_suffice(server):
    """From the beginning: it attaches, counts and leaves nothing behind."""
    with Confined(confined(), "-p", server.pid) as daemon:
        send(server, 20)
        assert daemon.wait_total(20, REQUESTS) == 20
        assert daemon.stop() == 0, daemon.stderr()
    assert not daemon.left_behind()


def allowed_calls(systemd_analyze):
    """What SystemCallFilter lets through, groups resolved."""
    listed = subprocess.run([systemd_analyze, "syscall-filter"], capture_output=True, text=True,
                            check=True).stdout
    groups = {}
    for line in listed.splitlines():
        if line.startswith("@"):
            group = groups.setdefault(line.strip(), set())
        elif line.startswith("    ") and not line.strip().startswith("#"):
            group.add(line.strip())

    def resolve(names):
        found = set()
        for name in names:
            found |= resolve(groups[name]) if name.startswith("@") else {name}
        return found

    return resolve(setting("SystemCallFilter"))


# systemd makes these for the program before the filter is in place; fsopen fails as it should,
# there is a tracefs mounted.
BEFORE = {"execve", "fsopen"}


def test_units_system_calls_suffice(server, systemd_analyze, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is missing (apt-get install strace)")
    log = tmp_path / "calls"
    # -D: strace is the one that forks, so that the daemon has the PID that we know.
    prefix = confined("strace", "-D", "-f", "-qq", "-o", str(log))
    with Confined(prefix, "-p", server.pid) as daemon:
        send(server, 5)
        assert daemon.wait_total(5, REQUESTS) == 5
        daemon.get("/", Accept_Encoding="gzip")
        assert daemon.stop() == 0
    calls = set(re.findall(r"^\d+ +(\w+)\(", log.read_text(encoding="utf-8"), re.M))
    assert "bpf" in calls and "perf_event_open" in calls
    assert calls - allowed_calls(systemd_analyze) - BEFORE == set()
