#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""check_docs.py WSGISCOPE MAN COMPLETION: the man page and the completion know each verb, each
option and each loss that the program has, and no others."""
import re
import subprocess
import sys

program, man_path, completion_path = sys.argv[1:]
failures = []


def check(what, expected, found):
    for name in sorted(set(expected) - set(found)):
        failures.append(f"{what}: {name} is missing")
    for name in sorted(set(found) - set(expected)):
        failures.append(f"{what}: {name} is not in the program")


def said(*args):
    return subprocess.run([program, *args], check=True, capture_output=True, text=True).stdout


def complete(*words):
    """What the completion offers for the last word."""
    script = ('compopt() { :; }; source "$1"; shift; COMP_WORDS=("$@"); '
              'COMP_CWORD=$(($# - 1)); _wsgiscope; printf "%s\\n" "${COMPREPLY[@]}"')
    return subprocess.run(["bash", "-c", script, "bash", completion_path, *words], check=True,
                          capture_output=True, text=True).stdout.split()


def options_of_help(verb):
    """{option: name of its argument or None} for both forms of each."""
    found = {}
    for letter, name, argument in re.findall(
            r"^  (?:-(\w), |    )--([\w-]+)(?: ([A-Z]+))?", said(verb, "--help"), re.M):
        for form in [f"--{name}"] + ([f"-{letter}"] if letter else []):
            found[form] = argument or None
    return found


def options_of_man(section):
    found = {}
    for line in re.findall(r"^\.It (Fl .*)$", section, re.M):
        argument = re.search(r" Ar (\w+)", line)
        for form in re.findall(r"Fl (-?[\w-]+)", line):
            found["-" + form] = argument.group(1) if argument else None
    return found


with open(man_path, encoding="utf-8") as stream:
    man = stream.read()
sections = dict(re.findall(r"^\.S[sh] ([^\n]+)\n(.*?)(?=^\.S[sh] |\Z)", man, re.M | re.S))
verbs = re.findall(r"^  (\w+) ", said("--help"), re.M)
assert len(verbs) >= 5, verbs
check("man page, SYNOPSIS", verbs, re.findall(r"^\.Cm (\w+)$", sections["SYNOPSIS"], re.M))
check("completion, verbs", verbs + ["--help", "--version"], complete("wsgiscope", ""))
for verb in verbs:
    options = options_of_help(verb)
    assert "--help" in options, options
    check(f"man page, {verb}", options.items(), options_of_man(sections[verb]).items())
    check(f"completion, {verb}", options, complete("wsgiscope", verb, "-"))
with open("user/decode.c", encoding="utf-8") as stream:
    losses = re.findall(r'\[DROP_\w+\] = "(\w+)"', stream.read())
with open("user/wire.c", encoding="utf-8") as stream:
    losses += re.findall(r'\[WIRE_LOSS_\w+\] = \{"(\w+)"', stream.read())
with open("user/sinks/words.c", encoding="utf-8") as stream:
    words = stream.read()
assert len(losses) > 5
advised = re.findall(r'^\t\{"(\w+)", (?:true|false),', words, re.M)
check("sinks/words.c", losses + ["statsd_unsent", "blocks_full", "stacks_full"], advised)
check("man page, LOSSES", advised, re.findall(r"^\.It (\w+)$", sections["LOSSES"], re.M))
notes = re.findall(r'^\t\{NOTE_\w+,\s+"(\w+)"', words, re.M)
assert len(notes) > 5
check("man page, notes", notes, [
    name for line in re.findall(r"^\.It (.*)$", sections["JSON"].split(".It notes")[1], re.M)
    for name in line.split(" , ")])
metrics = []
for path in ("user/exposition.c", "user/exposition_self.c"):
    with open(path, encoding="utf-8") as stream:
        metrics += [name + {"COUNTER": "_total", "INFO": "_info"}.get(kind, "") for name, kind in
                    re.findall(r'"((?:wsgi|http|wsgiscope|process)_\w+)",\s+METRIC_(\w+)',
                               stream.read())]
assert len(metrics) > 20
check("man page, Metrics", metrics, [
    name for line in re.findall(r"^\.It Li (.*)$", sections["Metrics"], re.M)
    for name in line.split(" , ")])
print("\n".join(failures) or "docs: the man page and the completion agree with the program")
sys.exit(bool(failures))
