#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""check_h11.py WALK: every head and chunked body of h11's test suite, as WALK (walk.c) reads it,
against what h11 made of it. What h11 refuses must be doubtful or refused here too, or incomplete:
but for the reasons in LENIENT, which are of no concern to one that only reads along. Exit status 1
if anything differs."""
import json
import os
import re
import subprocess
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))

# Why h11 refuses what we read with no doubt: it holds clients to more than framing.
LENIENT = re.compile("Host|illegal (header|request|status) line|Transfer-Encoding")
METHOD_BYTES_MAX = 32  # h11 waits for a method of any length

FRAMINGS = {"content-length": ("length", "none"), "chunked": ("chunked",),
            "http/1.0": ("until_close", "none")}


def recorded():
    run = subprocess.run([sys.executable, os.path.join(HERE, "h11_cases.py")],
                         capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit("h11's own tests fail under the recorder:\n" + run.stdout[-500:] + run.stderr)
    return [json.loads(line) for line in run.stdout.splitlines()]


def walked(walk, cases):
    asked = "".join("%s %s\n" % (case["kind"], case["bytes"]) for case in cases)
    run = subprocess.run([walk], input=asked, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def path_of(target):
    """As a server without rules of its own makes it."""
    raw = bytes.fromhex(target).decode("latin-1")
    path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", raw)
    return urllib.parse.unquote_to_bytes(re.split("[?#]", path)[0].encode("latin-1")).hex()


def head_differs(case, ours):
    """What is not as h11 says, None: nothing."""
    checks = {"told": ours["told"] == "http", "head": ours["head"] == case["used"],
              "doubtful": not ours["doubtful"]}
    if case["kind"] == "R":
        checks["method"] = ours["method"] == case["method"][:32]
        checks["path"] = ours["path"] == path_of(case["target"])[:512]
        checks["expect"] = ours["expect"] == case["expect"]
    else:
        checks["status"] = ours["status"] == case["status"]
    if "framing" in case:
        checks["body"] = ours["body"] in FRAMINGS[case["framing"]]
        checks["length"] = case["framing"] != "content-length" or (
            max(ours["length"], 0) == case["length"] or ours["body"] == "none")
    # h11 speaks no HTTP/1.0 with keep-alive, and a response that ends with its connection may
    # not say so.
    if not case["keep_alive"] or case["kind"] == "R":
        checks["keep_alive"] = ours["keep_alive"] == case["keep_alive"]
    return [name for name, right in checks.items() if not right]


def differs(case, ours):
    if case["kind"] == "C":
        if case["verdict"] == "read":
            return [] if (ours["end"], ours["used"], ours["data"]) == (
                "done", case["used"], case["data"]) else ["chunks"]
        return [] if ours["end"] == "bad" else ["chunks: %s" % case["why"]]
    first = ours[0]
    if case["verdict"] == "read":
        return head_differs(case, first)
    if case["verdict"] == "more":
        endless = b" " not in bytes.fromhex(case["bytes"])[:METHOD_BYTES_MAX + 1]
        return [] if first["told"] == "more" or endless else ["not complete"]
    if first["told"] in ("more", "foreign") or first["doubtful"]:
        return []
    return [] if LENIENT.search(case["why"]) else ["refused: " + case["why"]]


def main():
    cases = recorded()
    answers = walked(sys.argv[1], cases)
    assert len(cases) == len(answers)
    kinds = {kind: sum(case["kind"] == kind for case in cases) for kind in "RAC"}
    wrong = 0
    for case, ours in zip(cases, answers):
        found = differs(case, ours)
        if found:
            wrong += 1
            print("%s %.300r\n  %s\n  h11: %.600s\n  here: %s" % (
                case["kind"], bytes.fromhex(case["bytes"]), ", ".join(found), case, ours))
    print("wire: h11's tests: %(R)d request heads, %(A)d response heads, %(C)d chunked bodies"
          % kinds + ", %d wrong" % wrong)
    return 1 if wrong or min(kinds.values()) == 0 else 0


sys.exit(main())
