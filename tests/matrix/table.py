#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""One table of every server, Python and kernel: table.py RESULTS VM OUT. RESULTS holds a folder for
each Python (of its version, or `debian`) with what pytest left there (servers.xml) and the versions
of the servers (versions.txt), what it left of the other tests (worlds.xml), and what `make pythons`
and `make builds` printed (pythons.log, builds.log); VM the results of `make vm`. What was not run
is said to be so.

What was run again (servers-again.xml) takes the place of what was run before. Knows the names of
the tests, and nothing of how they work."""
import collections
import datetime
import os
import pathlib
import platform
import re
import sys
import xml.etree.ElementTree as tree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from server_table import CHECKS, ROWS  # noqa: E402

HEAD = """# The matrix

Made by `make matrix` on %s: %s, Linux %s. A cell is the word of [servers.md](servers.md) that
held when it was asserted against the live server; ✗ where it did not hold; – where nothing can
be seen. What each word means, and why it is not *exact*, is told there.
"""

WORLDS = """
## Workers that come and go, greenlets, slow clients, containers, hostile worlds

Tests of their own, on Debian's Python and servers, with those that are too slow for CI:
"""

PYTHONS = """
## Pythons of Debian's releases

States, stacks and marking against what is known from elsewhere, with gunicorn, uWSGI and mod_wsgi
of that Python (`make pythons`):
"""

BUILDS = """
## Pythons that Debian does not build

Free-threaded, the same with its debug checks, and linked with musl as Alpine's is: the marker's own
tests under `-X dev`, then states and stacks with waitress (`make builds`):
"""

KERNELS = """
## Kernels

[kernels.md](kernels.md) has each; what `make vm` last left here:
"""

CI = """
## What CI runs of it

The servers of Debian's packages on Debian's Python, the tests of the section after that but the
slowest, and the unit, golden and fuzz tests, on CI's own kernel. Not in CI, as its run says, too:

"""


CHATTER = re.compile(r"make(\[\d+\])?: |  [A-Z]+ +\S|pythons: .* is there: |[.sFEx]+ +\[ *\d+%\]")


def results_of(folder):
    """{(server, column): None, or why it failed or was skipped}. With several at once, pytest puts
    the group behind the name."""
    found = {}
    for path in (folder / "servers.xml", folder / "servers-again.xml"):
        for case in tree.parse(path).iter("testcase") if path.exists() else ():
            match = re.fullmatch(r"test_cell\[(.*)-([a-z ]+)\](?:@.*)?", case.get("name"))
            if match:
                found[match.groups()] = outcome_of(case)
    return found


def outcome_of(case):
    for kind in ("skipped", "failure", "error"):
        said = case.find(kind)
        if said is not None and kind == "skipped":
            return kind, said.get("message")
        if said is not None:
            return kind, "did not hold: its log tells where"
    return None


def cell_of(row, column, outcome):
    if outcome is None:
        return row.cells[column]
    return "✗" if outcome[0] != "skipped" else ""


def escaped(text):
    return text.replace("|", "\\|")[:160]


class Python:
    """What was run on one Python."""

    def __init__(self, folder):
        self.shown = "Debian's" if folder.name == "debian" else folder.name.replace("python", "")
        self.results = results_of(folder)
        self.versions = versions_of(folder)
        self.gaps = collections.defaultdict(list)

    def lines(self):
        """A line for each server that ran; those that did not are in gaps, by their reason."""
        for row in ROWS:
            outcomes = [self.results.get((row.name, column), ("skipped", "not run"))
                        for column in CHECKS]
            cells = [cell_of(row, column, outcome) for column, outcome in zip(CHECKS, outcomes)]
            reasons = list(dict.fromkeys(outcome[1] for outcome in outcomes if outcome))
            title = row.title.replace(", newest", " " + self.version_of(row))
            if any(cells):
                yield "| %s | %s | %s | %s |" % (title, self.shown, " | ".join(cells),
                                                 escaped("; ".join(reasons)))
            else:
                self.gaps[escaped("; ".join(reasons))].append(title)

    def version_of(self, row):
        """Of what PyPI calls as the row does: pypi-NAME, pypi-NAME-worker."""
        return self.versions.get(row.name.split("-")[-1 if row.name.count("-") < 2 else 1]
                                 .replace("_", "-"), "newest") if row.pypi else ""

    def about(self):
        """What is not in the table and why; the versions from PyPI."""
        for reason, titles in self.gaps.items():
            yield "- Not on %s: %s: %s." % (self.shown, ", ".join(titles), reason)
        yield "- From PyPI for %s: %s." % (self.shown, ", ".join(
            "%s %s" % pair for pair in sorted(self.versions.items())))


def versions_of(folder):
    path = folder / "versions.txt"
    if not path.exists():
        return {}
    pairs = (line.split("==") for line in path.read_text().splitlines() if "==" in line)
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def servers(results):
    yield "\n## Servers, Pythons, features\n"
    pythons = [Python(path.parent) for path in sorted(results.glob("*/servers.xml"))]
    if not pythons:
        yield "Not run."
        return
    yield "| server | Python | %s | gap |" % " | ".join(CHECKS)
    yield "|---|---|%s---|" % ("---|" * len(CHECKS))
    for python in pythons:
        yield from python.lines()
    yield ""
    for python in pythons:
        yield from python.about()


def worlds(results):
    yield WORLDS
    counts = collections.defaultdict(collections.Counter)
    reasons = collections.defaultdict(dict)
    for path in sorted(results.glob("worlds*.xml")):
        for case in tree.parse(path).iter("testcase"):
            name = case.get("classname").rsplit(".", 1)[-1]
            outcome = outcome_of(case)
            counts[name][outcome[0] if outcome else "passed"] += 1
            if outcome:
                reasons[name][case.get("name") + ": " + outcome[1]] = True
    if not counts:
        yield "Not run."
        return
    yield "| tests | passed | skipped | failed | why |"
    yield "|---|---|---|---|---|"
    for name, count in sorted(counts.items()):
        yield "| `%s.py` | %d | %d | %d | %s |" % (
            name, count["passed"], count["skipped"], count["failure"] + count["error"],
            escaped("; ".join(reasons[name])))


def printed(head, path):
    """What a target printed, without what make and pytest say of their progress."""
    yield head
    if not path.exists():
        yield "Not run."
        return
    yield "```"
    yield from (line.rstrip() for line in path.read_text().splitlines() if not CHATTER.match(line))
    yield "```"


def kernel_order(path):
    """By version, the newest after it, and other machines' last."""
    version, _, machine = path.stem.partition("-")
    return machine, [int(part) if part.isdigit() else 999 for part in version.split(".")]


def kernels(vm):
    yield KERNELS
    paths = sorted(vm.glob("*.result"), key=kernel_order) if vm.is_dir() else []
    if not paths:
        yield "Not run here."
        return
    told = {path.stem: [line.split("\t") for line in path.read_text().splitlines()]
            for path in paths}
    verbs = list(dict.fromkeys(line[0] for lines in told.values() for line in lines))
    yield "| kernel | %s | why |" % " | ".join(verbs)
    yield "|---|%s---|" % ("---|" * len(verbs))
    for kernel, lines in told.items():
        said = {line[0]: line[1] for line in lines}
        why = dict.fromkeys(line[2] for line in lines
                            if len(line) > 2 and line[2] and line[1] != "ok")
        yield "| %s | %s | %s |" % (kernel, " | ".join(said.get(verb, "") for verb in verbs),
                                    "; ".join(why).replace("|", "\\|"))


def not_in_ci():
    for line in (HERE / "not-in-ci.txt").read_text().splitlines():
        if not line.startswith("#"):
            yield "- `%s`: %s" % tuple(line.split("\t"))


def main():
    results, vm, out = map(pathlib.Path, sys.argv[1:])
    head = HEAD % (datetime.date.today(), platform.machine(), platform.release())
    lines = [head.rstrip(), *servers(results), *worlds(results),
             *printed(PYTHONS, results / "pythons.log"), *printed(BUILDS, results / "builds.log"),
             *kernels(vm), CI.rstrip() + "\n", *not_in_ci()]
    partial = out.with_suffix(".new")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(partial, out)


if __name__ == "__main__":
    main()
