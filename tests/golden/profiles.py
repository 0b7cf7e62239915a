# SPDX-License-Identifier: BSD-2-Clause
"""profiles.py RECORDINGS WSGISCOPE: recordings with samples against the profiles that they must
give (profiles/ beside this), in every format; then files, directories and wrong usage. UPDATE=1
writes the expected files instead."""
import difflib
import os
import pathlib
import re
import resource
import stat
import subprocess
import sys
import tempfile

import show_profile

recordings, program = pathlib.Path(sys.argv[1]).resolve(), os.path.abspath(sys.argv[2])
expected = pathlib.Path(__file__).parent / "profiles"
failures = []

# expected file: recording and options; its ending tells how it is shown and is the format
CASES = {
    "plain.text": "stacks",
    "wall.text": "stacks --wall --by route",
    "offcpu.text": "stacks --off-cpu",
    "outside.text": "stacks --outside",
    "native.folded": "stacks --native",
    "plain.folded": "stacks",
    "lines.folded": "stacks --lines --wall",
    "byroute.folded": "stacks --by route",
    "route.folded": "stacks --route /issue/<int:id>",
    "routeglob.folded": "stacks --route /iss*",
    "group.folded": "stacks --route /about/us",
    "path.folded": "stacks --path */2",
    "status.folded": "stacks --status 5xx",
    "method.folded": "stacks --method get --status 503",
    "nomethod.folded": "stacks --method POST",
    "slower.folded": "stacks --slower-than 899.9 --wall",
    "plain.svg": "stacks --wall --native",
    "plain.speedscope": "stacks --wall",
    "lines.speedscope": "stacks --wall --lines",
    "plain.pprof": "stacks --wall",
    "plain.pstats": "stacks --wall",
    "hostile.text": "stacks-hostile --by route",
    "hostile.folded": "stacks-hostile --by route",
    "hostile.svg": "stacks-hostile --by route",
    "hostile.speedscope": "stacks-hostile --by route",
    "hostile.pprof": "stacks-hostile --by route",
    "hostile.pstats": "stacks-hostile --by route",
    "missing.text": "stacks-missing",
    "missing.pstats": "stacks-missing",
    "missingnative.text": "stacks-missing --wall --native",
    "empty.text": "empty",
    "empty.folded": "empty",
    "empty.svg": "empty",
    "empty.speedscope": "empty",
    "empty.pprof": "empty",
    "empty.pstats": "empty",
}
DIFFS = ["diff.text", "diff.folded", "diff.svg"]


def run(*args, **kwargs):
    return subprocess.run([program, *map(str, args)], capture_output=True, check=False,
                          env=dict(os.environ, TZ="UTC"), **kwargs)


def check(what, condition, detail=""):
    if not condition:
        failures.append(f"{what}: {detail}")


def compare(name, data, path):
    try:
        shown = show_profile.show(name, data, path).replace(str(recordings), "RECORDINGS")
    except Exception as error:  # whatever the reader said: the file is wrong
        failures.append(f"{name}: cannot be read: {error!r}")
        return
    file = expected / name
    if os.environ.get("UPDATE") == "1":
        file.write_text(shown, encoding="utf-8")
    elif not file.exists() or file.read_text(encoding="utf-8") != shown:
        want = file.read_text(encoding="utf-8") if file.exists() else ""
        failures.append(f"{name}: not what was expected\n" + "\n".join(difflib.unified_diff(
            want.splitlines(), shown.splitlines(), "expected", "got", lineterm="")))


def check_cases(scratch):
    for name, words in CASES.items():
        recording, *options = words.split()
        out = scratch / name
        done = run("replay", *options, "--format", name.rsplit(".", 1)[1], "-o", out,
                   recordings / f"{recording}.rec")
        if done.returncode:
            failures.append(f"{name}: exit status {done.returncode}: {done.stderr.decode()}")
            continue
        check(name, b"wsgiscope: samples: " in done.stderr, "no footer on stderr")
        compare(name, out.read_bytes(), out)
    for name in DIFFS:
        done = run("flame", "--diff", recordings / "stacks.rec", recordings / "stacks-after.rec",
                   "--format", name.rsplit(".", 1)[1])
        check(name, done.returncode == 0, done.stderr.decode())
        compare(name, done.stdout, scratch / name)


def check_endings(scratch):
    """The ending tells the format; stdout gets the same as a file."""
    for ending, magic in (("svg", b"<?xml"), ("folded", b"serve"), ("json", b"{"),
                          ("speedscope.json", b"{"), ("pb.gz", b"\x1f\x8b"),
                          ("pprof", b"\x1f\x8b"), ("prof", b"{("), ("TXT", b"serve")):
        out = scratch / f"ending.{ending}"
        done = run("replay", "-o", out, recordings / "stacks.rec")
        check(ending, done.returncode == 0 and out.read_bytes().startswith(magic),
              done.stderr.decode())
        check(ending, done.stdout == b"", "stdout is not empty")
    piped = run("replay", "--format", "svg", recordings / "stacks.rec").stdout
    check("stdout", piped == (scratch / "ending.svg").read_bytes(), "differs from the file")
    # An older and longer file is written over as a whole.
    out = scratch / "older.svg"
    out.write_bytes(b"x" * 1000000)
    run("replay", "-o", out, recordings / "stacks.rec")
    check("older file", out.read_bytes() == piped, "not replaced")


def check_each(scratch):
    directory = scratch / "each"
    done = run("replay", "--each", directory, "--wall", recordings / "stacks.rec")
    check("--each", done.returncode == 0, done.stderr.decode())
    names = sorted(path.name for path in directory.iterdir())
    want = ["GET.about.us.10ms.1795341603.svg", "GET.issue.1.100ms.1795341601.svg",
            "GET.issue.2.900ms.1795341602.svg"]
    check("--each", names == want, names)
    check("--each", stat.S_IMODE(directory.stat().st_mode) == 0o700, "others may read it")
    text = (directory / want[2]).read_text()
    check("--each", "late (/srv/late.py:100)" in text, "the late name is missing")
    check("--each", "GET.issue.2.900ms" in text and "Server.idle" not in text, "not its own")
    run("replay", "--each", directory, "--max-files", "2", recordings / "stacks.rec")
    check("--each again", len(list(directory.iterdir())) == 5, list(directory.iterdir()))
    check("--each again", (directory / "GET.issue.1.100ms.1795341601.2.svg").exists(), "no .2")
    # Many of one name: each is kept, and none is written over.
    many = scratch / "many"
    for _ in range(4):
        run("replay", "--each", many, recordings / "stacks.rec")
    check("--each again and again", len(list(many.iterdir())) == 12, list(many.iterdir()))
    done = run("replay", "--each", directory, "--max-files", "1", recordings / "stacks.rec")
    check("--max-files", b"lost: profiles of requests 2" in done.stderr, done.stderr.decode())
    slow = scratch / "slow"
    run("replay", "--each", slow, "--slower-than", "500", "--wall", "--format", "pstats",
        recordings / "stacks.rec")
    check("--slower-than", [path.name for path in slow.iterdir()] ==
          ["GET.issue.2.900ms.1795341602.prof"], list(slow.iterdir()))
    show_profile.show_pstats(b"", slow / "GET.issue.2.900ms.1795341602.prof")
    hostile = scratch / "hostile"
    run("replay", "--each", hostile, recordings / "stacks-hostile.rec")
    check("hostile name", [path.name for path in hostile.iterdir()] ==
          ["GET.__.__.etc.passwd___2J__rm_-rf.10ms.1795341601.svg"], list(hostile.iterdir()))
    (scratch / "file").write_text("")
    done = run("replay", "--each", scratch / "file", recordings / "stacks.rec")
    check("--each FILE", done.returncode == 1 and b"cannot use the directory" in done.stderr,
          done.stderr.decode())


REFUSED = [
    ("replay --format nosuch FILE", 2, "no such format; there are: text, folded, svg"),
    ("replay -o out.nosuch FILE", 2, "no format has this ending"),
    ("replay --wall FILE", 2, "say which by --format"),
    ("replay --by path --format text FILE", 2, "only route is known"),
    ("replay --off-cpu --wall --format text FILE", 2, "choose one"),
    ("replay --outside --path /x --format text FILE", 2, "no filter of requests"),
    ("replay --status 50 --format text FILE", 2, "404 or 5xx"),
    ("replay --each . -o x.svg FILE", 2, "the directory takes all"),
    ("replay -o /nonexistent/x.svg FILE", 1, "cannot create /nonexistent/x.svg: No such file"),
    ("flame FILE", 2, "a recording is shown by: wsgiscope replay"),
    ("flame --diff FILE", 2, "two recordings"),
    ("flame --diff FILE FILE --format pprof", 2, "text, folded or svg"),
    ("flame --diff FILE /nonexistent --format text", 1, "No such file"),
    ("flame --diff FILE FILE --each .", 2, "is one profile"),
]


def check_refused(scratch):
    for words, status, text in REFUSED:
        args = [recordings / "stacks.rec" if word == "FILE" else word for word in words.split()]
        done = run(*args, cwd=scratch)
        said = [line for line in done.stderr.decode().splitlines()
                if not re.match(r"wsgiscope: (requests|lost|samples|not shown)", line)]
        check(words, done.returncode == status, f"exit status {done.returncode}")
        check(words, len(said) == 1 and text in said[0], said)
    # What fails leaves no new file, and an older one as it was.
    kept = scratch / "kept.svg"
    kept.write_text("kept")
    for path in scratch / "new.svg", kept:
        run("replay", "-o", path, scratch / "no-such.rec")
    check("a failure", not (scratch / "new.svg").exists(), "left a new file")
    check("a failure", kept.read_text() == "kept", "emptied an older file")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([program, "replay", "--format", "svg", recordings / "stacks.rec"],
                              stdout=full, stderr=subprocess.PIPE, check=False)
    check("/dev/full", done.returncode == 1 and b"No space left" in done.stderr,
          done.stderr.decode())
    # A file that cannot be written to its end: it is said once, and no half of it stays.
    for words in ("replay -o big.svg FILE", "replay --each big FILE"):
        args = [recordings / "stacks.rec" if word == "FILE" else word for word in words.split()]
        done = run(*args, cwd=scratch, restore_signals=False, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (1000, 1000)))
        said = re.findall(r"cannot write .*: File too large", done.stderr.decode())
        check(words, done.returncode == 1 and len(said) == 1, done.stderr.decode())
        check(words, not (scratch / "big.svg").exists(), "half of it is there")
        check(words, not list((scratch / "big").glob("*")), "half of it is there")


with tempfile.TemporaryDirectory() as name:
    for step in check_cases, check_endings, check_each, check_refused:
        step(pathlib.Path(name))
print("\n".join(failures) or f"profiles: {len(CASES) + len(DIFFS)} cases with {sys.argv[2]}")
sys.exit(bool(failures))
