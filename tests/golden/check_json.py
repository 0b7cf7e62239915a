# SPDX-License-Identifier: BSD-2-Clause
"""Reads a JSON object a line from stdin, strictly, and checks the keys and their order."""
import json
import sys

REQUEST = ["time", "pid", "tid", "server", "mode", "id", "method", "path", "route", "path_group",
           "app", "status", "wire_status", "outcome", "exception", "application_ms", "output_ms",
           "blocks", "bytes", "request_bytes", "write_calls", "write_bytes", "write_ms", "socket",
           "first_byte_ms", "queue_ms", "queue_source", "states_ms", "socket_read_client_ms",
           "socket_read_peer", "socket_read_peer_ms", "gc_ms", "gc_count", "top_frame", "notes"]
STATES = ["cpu", "runnable", "gil", "socket_read", "socket_write", "file", "lock", "sleep", "other"]
BLOCK = ["block", "time", "pid", "tid", "id", "bytes", "application_ms", "output_ms"]


def no_constant(name):
    raise ValueError("not JSON: " + name)


def check_states(record):
    """Absent with all that depends on them, or all nine; they add up to the application time."""
    states = record["states_ms"]
    if states is None:
        for key in ("socket_read_client_ms", "socket_read_peer", "socket_read_peer_ms", "gc_ms"):
            assert record[key] is None, (key, record)
        assert "gil_unseen" not in record["notes"], record
        return
    assert list(states) == STATES, list(states)
    assert (states["gil"] is None) == ("gil_unseen" in record["notes"]), record
    assert all(value >= 0 for value in states.values() if value is not None), states
    total = sum(value for value in states.values() if value is not None)
    assert abs(total - record["application_ms"]) <= 0.01 + record["application_ms"] / 100, record
    assert (record["socket_read_client_ms"] or 0) <= states["socket_read"], record
    assert (record["socket_read_peer_ms"] or 0) <= states["socket_read"], record


for line in sys.stdin.buffer:
    assert line.endswith(b"}\n"), line
    text = line.decode("utf-8")  # strictly
    assert not any(ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 for c in text[:-1]), ascii(text)
    record = json.loads(text, parse_constant=no_constant)
    assert list(record) == (BLOCK if "block" in record else REQUEST), list(record)
    for key, value in record.items():
        assert not (isinstance(value, (int, float)) and value < 0), (key, value)
    if "block" not in record:
        check_states(record)
