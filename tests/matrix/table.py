#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""One table of every server, Python and kernel: table.py RESULTS VM OUT. RESULTS holds a folder for
each Python (of its version, or `debian`) with what pytest left there (servers.xml) and the versions
of the servers (versions.txt); VM the results of `make vm`. What was not run is said to be so.

What was run again (servers-again.xml) takes the place of what was run before. Knows the names of
the tests, and nothing of how they work."""
import datetime
import os
import pathlib
import platform
import re
import sys
import xml.etree.ElementTree as tree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from server_table import CHECKS, ROWS  # noqa: E402

HEAD = """# The matrix

Made by `make matrix` on %s: %s, Linux %s. A cell is the word of [servers.md](servers.md) that
held when it was asserted against the live server; ✗ where it did not hold; – where nothing can
be seen. What each word means, and why it is not *exact*, is told there.
"""

CI = """
## What CI runs of it

The servers of Debian's packages on Debian's Python, and the unit, golden and fuzz tests on CI's own
kernel. Not run in CI: the servers of PyPI and the other Pythons (`make matrix`), the kernels in
virtual machines (`make vm`), the states and stacks on the Pythons of other releases (`make
pythons`).
"""


def results_of(folder):
    """{(server, column): None, or why it failed or was skipped}"""
    found = {}
    for path in (folder / "servers.xml", folder / "servers-again.xml"):
        for case in tree.parse(path).iter("testcase") if path.exists() else ():
            match = re.fullmatch(r"test_cell\[(.*)-([a-z ]+)\]", case.get("name"))
            if match:
                found[match.groups()] = outcome_of(case)
    return found


def outcome_of(case):
    for kind in ("skipped", "failure", "error"):
        said = case.find(kind)
        if said is not None and kind == "skipped":
            return kind, said.get("message")
        if said is not None:
            return kind, "did not hold: servers.log tells where"
    return None


def cell_of(row, column, outcome):
    if outcome is None:
        return row.cells[column]
    return "✗" if outcome[0] != "skipped" else ""


def server_lines(python, results, versions):
    """A line for each server, with the reason where there is a gap."""
    for row in ROWS:
        outcomes = [results.get((row.name, column), ("skipped", "not run")) for column in CHECKS]
        cells = [cell_of(row, column, outcome) for column, outcome in zip(CHECKS, outcomes)]
        reasons = list(dict.fromkeys(outcome[1] for outcome in outcomes if outcome))
        title = row.title.replace(", newest", " " + version_of(row, versions))
        shown = "Debian's" if python == "debian" else python.replace("python", "")
        yield "| %s | %s | %s | %s |" % (title, shown, " | ".join(cells),
                                         "; ".join(reasons).replace("|", "\\|")[:160])


def version_of(row, versions):
    """Of what PyPI calls as the row does: pypi-NAME, pypi-NAME-worker."""
    return versions.get(row.name.split("-")[-1 if row.name.count("-") < 2 else 1]
                        .replace("_", "-"), "newest")


def versions_of(folder):
    path = folder / "versions.txt"
    if not path.exists():
        return {}
    pairs = (line.split("==") for line in path.read_text().splitlines() if "==" in line)
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def servers(results):
    yield "\n## Servers, Pythons, features\n"
    yield "| server | Python | %s | gap |" % " | ".join(CHECKS)
    yield "|---|---|%s---|" % ("---|" * len(CHECKS))
    folders = sorted(path for path in results.iterdir() if (path / "servers.xml").exists())
    for folder in folders:
        yield from server_lines(folder.name, results_of(folder),
                                versions_of(folder))
    if not folders:
        yield "\nNot run."


def kernels(vm):
    yield "\n## Kernels\n\n[kernels.md](kernels.md) has each; what `make vm` last left here:\n"
    paths = sorted(vm.glob("*.result")) if vm.is_dir() else []
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
        why = "; ".join("%s: %s" % (line[0], line[2]) for line in lines
                        if len(line) > 2 and line[2] and line[1] != "ok")
        yield "| %s | %s | %s |" % (kernel, " | ".join(said.get(verb, "") for verb in verbs),
                                    why.replace("|", "\\|"))


def main():
    results, vm, out = map(pathlib.Path, sys.argv[1:])
    head = HEAD % (datetime.date.today(), platform.machine(), platform.release())
    lines = [head.rstrip(), *servers(results), *kernels(vm), CI.rstrip()]
    partial = out.with_suffix(".new")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(partial, out)


if __name__ == "__main__":
    main()
