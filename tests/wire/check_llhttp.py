#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""check_llhttp.py WALK TESTS: the cases of llhttp's own tests (its folder test/: Markdown, each
case some bytes and what llhttp says of them, offset by offset), as WALK (walk.c) reads them: where
each message's head and body end, its method, its status. Up to the first error that llhttp finds:
from there on one that only reads along may go on. Exit status 1 if anything differs."""
import json
import pathlib
import re
import subprocess
import sys

META = r"<!-- meta=(\{[^>]*?\}) -->\n+"
BLOCK = r"```%s\n((?:(?!```).)*)```"
CASE = re.compile(META + BLOCK % "http" + r"(?:(?!```|<!--).)*" + BLOCK % "log", re.S)


# Not HTTP/1.x, though llhttp reads it; or no version, of which only llhttp wants an empty line.
OTHERS = re.compile(rb"[^\r\n]*(ICE/|RTSP/|HTTP/0\.9)|GET /\r\n")


def message_bytes(text):
    """As md-test.ts of llhttp makes bytes of a case; None: it holds code to be run."""
    if "${" in text:
        return None
    text = re.sub(r"\n\Z", "", text)
    text = re.sub(r"\\(\r\n|\r|\n)", "", text)
    text = re.sub(r"\r\n|\r|\n", "\r\n", text)
    for code, character in (("r", "\r"), ("n", "\n"), ("t", "\t"), ("f", "\f")):
        text = text.replace("\\" + code, character)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda match: chr(int(match[1], 16)), text)
    text = re.sub(r"\\([0-7]{1,3})", lambda match: chr(int(match[1], 8)), text)
    return text.encode()


def messages(log):
    """What llhttp says of each message, and whether it found an error."""
    found = []
    for line in log.splitlines():
        match = re.match(r"off=(\d+) (?:len=\d+ )?(.*)", line)
        if not match:
            continue
        offset, said = int(match[1]), match[2]
        if said == "message begin":
            found.append({"head": -1, "end": -1})
        elif said.startswith("headers complete"):
            found[-1]["head"] = offset
            found[-1].update(re.findall(r"(method|status)=(\d+)", said))
        elif said == "message complete":
            found[-1]["end"] = offset
        elif said.startswith('span[method]='):
            found[-1]["name"] = found[-1].get("name", "") + said.split("=", 1)[1].strip('"')
        elif said.startswith(("error", "pause")):
            return found, True
    return found, False


def cases(folder):
    for kind, letter in (("request", "R"), ("response", "A")):
        for path in sorted((folder / kind).glob("*.md")):
            for meta, text, log in CASE.findall(path.read_text(encoding="utf-8")):
                meta = json.loads(meta)
                data = message_bytes(text)
                if meta.get("type") == kind and not meta.get("skip") and "pause" not in meta \
                        and "skipBody" not in meta and data is not None \
                        and not OTHERS.match(data):
                    yield path.name, letter, data, *messages(log)


def message_differs(kind, said, ours):
    checks = [ours["head"] == said["head"]]
    if said["end"] >= 0:
        checks.append(ours["end"] == said["end"] or ours["body"] in ("until_close", "tunnel")
                      or ours.get("upgrade"))
    if kind == "R":
        checks.append(bytes.fromhex(ours["method"] or "").decode() == said.get("name", "")[:16])
    elif "status" in said:
        checks.append(ours["status"] == int(said["status"]))
    return not all(checks)


def differs(kind, said, error, ours):
    """Compares what llhttp read to its end: of the message with the error nothing is known."""
    if error:
        said = [message for message in said if message["end"] >= 0]
    elif not said:
        return False
    for index, message in enumerate(said):
        if message["head"] < 0:
            continue
        if index >= len(ours) or message_differs(kind, message, ours[index]):
            return True
        if ours[index]["body"] in ("until_close", "tunnel"):
            return False
    return False


def main():
    found = list(cases(pathlib.Path(sys.argv[2])))
    asked = "".join("%s %s\n" % (kind, data.hex()) for _, kind, data, _, _ in found)
    run = subprocess.run([sys.argv[1]], input=asked, capture_output=True, text=True, check=True)
    wrong = 0
    for (name, kind, data, said, error), line in zip(found, run.stdout.splitlines()):
        ours = json.loads(line)
        if differs(kind, said, error, ours):
            wrong += 1
            print("%s: %r\n  llhttp: %s error %s\n  here: %s" % (name, data, said, error, ours))
    errors = sum(error for *_, error in found)
    print("wire: llhttp's tests: %d cases, %d of them with an error, %d wrong" % (
        len(found), errors, wrong))
    return 1 if wrong or len(found) < 50 else 0


sys.exit(main())
