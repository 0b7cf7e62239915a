# SPDX-License-Identifier: BSD-2-Clause
"""Reads a JSON object a line from stdin, strictly, and checks the keys and their order."""
import json
import sys

REQUEST = ["time", "pid", "tid", "server", "mode", "id", "method", "path", "route", "path_group",
           "app", "status", "wire_status", "outcome", "exception", "application_ms", "output_ms",
           "blocks", "bytes", "write_calls", "write_bytes", "write_ms", "socket", "first_byte_ms",
           "queue_ms", "queue_source", "states_ms", "notes"]
BLOCK = ["block", "time", "pid", "tid", "id", "bytes", "application_ms", "output_ms"]


def no_constant(name):
    raise ValueError("not JSON: " + name)


for line in sys.stdin.buffer:
    assert line.endswith(b"}\n"), line
    text = line.decode("utf-8")  # strictly
    assert not any(ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 for c in text[:-1]), ascii(text)
    record = json.loads(text, parse_constant=no_constant)
    assert list(record) == (BLOCK if "block" in record else REQUEST), list(record)
    for key, value in record.items():
        assert not (isinstance(value, (int, float)) and value < 0), (key, value)
