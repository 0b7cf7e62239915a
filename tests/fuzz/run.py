#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""run.py SECONDS JOBS PROGRAM:SEEDS:LONGEST...: each libFuzzer program for so long, so many at
once, and a line for each: how much it ran, how much of the code its seeds reach and how much it has
reached. What a program finds new is kept beside its seeds; its talk in PROGRAM.log. Fails when one
of them finds something, or runs so slowly that it is not worth its time."""
import concurrent.futures
import os
import re
import subprocess
import sys

INPUT_S = 10         # no input may take longer
MEMORY_MB = 1024
RUNS_A_SECOND = 100  # of CPU time: the least that finds anything
COLUMNS = "%-16s %11s %9s %8s %8s %6s  %s"
# Memory is given back only in bulk: most of what a short run costs is else page faults.
ENVIRON = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=16:"
               "allocator_release_to_os_interval_ms=-1")


def number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def ran(command, log):
    """(status, seconds of CPU time, what it said)"""
    with open(log, "wb") as stream, \
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                             env=ENVIRON) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    with open(log, encoding="utf-8", errors="replace") as stream:
        return process.returncode, used.ru_utime + used.ru_stime, stream.read()


def run(job, seconds):
    """(what is to be said of it, its last words if it has failed)"""
    program, seeds, longest = job.split(":")
    status, cpu_s, talk = ran(
        [program, "-max_total_time=%d" % seconds, "-max_len=" + longest, "-timeout=%d" % INPUT_S,
         "-rss_limit_mb=%d" % MEMORY_MB, "-print_final_stats=1", "-artifact_prefix=%s-" % program,
         seeds], program + ".log")
    runs = number(r"number_of_executed_units: (\d+)", talk)
    rate = runs / max(cpu_s, 0.01)
    verdict = "found something" if status else "nothing found"
    if not status and rate < RUNS_A_SECOND:
        status, verdict = 1, "too slow"
    line = COLUMNS % (os.path.basename(program), runs, "%.0f" % rate,
                      number(r"INITED cov: (\d+)", talk), number(r" cov: (\d+)", talk),
                      number(r"peak_rss_mb: +(\d+)", talk), verdict)
    return line, talk[-4000:] if status else ""


def main():
    seconds, jobs = map(int, sys.argv[1:3])
    print("fuzz: %d s each" % seconds)
    print(COLUMNS % ("", "EXECUTIONS", "A CPU SEC", "SEEDS", "EDGES", "MB", ""), flush=True)
    failed = ""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for line, words in pool.map(lambda job: run(job, seconds), sys.argv[3:]):
            print(line, flush=True)
            failed += words
    sys.exit(failed or 0)


if __name__ == "__main__":
    main()
