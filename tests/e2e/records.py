# SPDX-License-Identifier: BSD-2-Clause
"""What a record must say, given what the reference middleware and the client saw.

Each check raises AssertionError with the record; none of them knows how records are made."""
import json

# Cases whose end the reference sees itself, so that application times can be compared; of the
# others (a list, an iterator without close()) it knows only when the application returned.
EXACT_END = {"gen", "gen-many", "gen-head", "closing", "write-gen", "gen-nothing", "gen-blank",
             "raise-call", "raise-started", "raise-first", "raise-later", "raise-close", "late",
             "stream"}

KEYS = ["time", "pid", "tid", "server", "mode", "id", "method", "path", "route", "path_group",
        "app", "status", "wire_status", "outcome", "exception", "application_ms", "output_ms",
        "blocks", "bytes", "write_calls", "write_bytes", "write_ms", "socket", "first_byte_ms",
        "queue_ms", "queue_source"]


def shown_path(latin1):
    """A PEP 3333 string as the records show it: its bytes, as text where they are UTF-8."""
    return latin1.encode("latin-1").decode("utf-8", errors="backslashreplace")


def check_application(record, oracle, request):
    """Method, path, status, blocks, bytes, outcome, exception: what the application did."""
    where = json.dumps({"record": record, "oracle": oracle}, indent=1)
    missing = [key for key in KEYS if key not in record]
    assert not missing, "keys missing: %r" % missing
    assert record["mode"] == "marker", where
    assert record["method"] == request.method == oracle["method"], where
    assert record["path"] == shown_path(oracle["path"]), where
    assert record["status"] == oracle["status"], where
    assert record["pid"] == oracle["pid"], where
    assert record["outcome"] == oracle["outcome"], where
    if oracle["exception"] is None:
        assert record["exception"] is None, where
    else:
        assert record["exception"].split(".")[-1] == oracle["exception"], where
    check_blocks(record, oracle, where)


def check_blocks(record, oracle, where):
    notes = record.get("notes") or []
    if oracle["returned"] == "file_wrapper":
        assert "file_wrapper" in notes, where
        assert record["blocks"] is None and record["output_ms"] is None, where
    elif oracle["returned"] in ("bytes", "str"):
        assert "returned_" + oracle["returned"] in notes, where
        assert (record["blocks"], record["bytes"]) == (1, oracle["bytes"]), where
        assert record["output_ms"] is None, where
    else:
        assert record["blocks"] == oracle["blocks"], where
        assert record["bytes"] == oracle["bytes"], where


def check_client(record, response):
    where = json.dumps(record, indent=1)
    assert record["wire_status"] == response.status, where


def check_writes(record, response, kind):
    """Write calls and bytes; exact where the worker writes to the client itself."""
    where = json.dumps(record, indent=1) + "\nclient got %d bytes" % len(response.raw)
    if not response.raw:
        assert record["write_bytes"] in (None, 0), where
        return
    assert record["write_calls"] >= 1, where
    assert record["socket"] == kind.family, where
    if kind.direct:
        assert record["write_bytes"] == len(response.raw), where
    elif record["method"] != "HEAD" and record["outcome"] == "ok" and response.status == 200:
        assert record["write_bytes"] > (record["bytes"] or len(response.body)), where
    assert record["write_ms"] > 0, where


def check_times(record, oracle, response, kind):
    """Times that cannot be, are not; how much longer than the reference's time the record's is,
    in ms (the mark lies around the reference, so never shorter)."""
    where = json.dumps({"record": record, "oracle": oracle}, indent=1)
    inside_ms = (oracle["end_ns"] - oracle["start_ns"]) / 1e6
    assert record["application_ms"] >= inside_ms - 0.001, where
    if record["output_ms"] is not None:
        assert 0 <= record["output_ms"] <= record["application_ms"], where
        if record["blocks"] and oracle["output_ns"]:
            assert record["output_ms"] <= oracle["output_ns"] / 1e6 + 0.001, where
    if not response.raw:
        assert record["first_byte_ms"] is None, where
        return record["application_ms"] - inside_ms
    assert record["first_byte_ms"] > 0, where
    if kind.direct:
        first_ns = oracle["start_ns"] + record["first_byte_ms"] * 1e6
        # The worker may lose its CPU between the write and the reading of the clock.
        assert response.sent_ns < first_ns < response.done_ns + 100e6, where
    return record["application_ms"] - inside_ms
