# SPDX-License-Identifier: BSD-2-Clause
"""What each word of the table in doc/servers.md means: a check of one measured run. A check fails
with the record that is not so; a word promises no more than its check asks for.

Knows no server."""
import json

import known_answers
from records import shown_path
from table_run import BODY_PAUSE_S, CASES, QUEUED_S, SLOW

# What differs by the two clocks' readings; the machine may delay one request, not all.
CLOCKS_MS = 1.0
# Where the reference sees the end itself, so that times can be compared.
TIMED = ["gen", "gen-many", "closing", "raise-call", "raise-later", "slow", "together"]
ANSWERED = [*CASES, "body-late", "queued", "together"]
PAUSE_MS = 45  # of way_slow, which sleeps for 50


def shown(asked):
    return json.dumps({"request": asked.request.target, "marker": asked.marker,
                       "wire": asked.wire, "oracle": asked.oracle,
                       "client": [asked.response.status, len(asked.response.raw)]}, indent=1)


def marked(run, *labels):
    """[Asked] that the marker told of; none may be missing."""
    found = run.of(*labels)
    for each in found:
        assert each.marker, "no record" + shown(each)
        assert each.oracle, "not called" + shown(each)
    return found


# --- what the application did --------------------------------------------------------------------

def application_exact(run):
    """Method, path, route, status, outcome, exception, blocks, bytes, application and output time
    are the application's own."""
    for each in marked(run, *ANSWERED, "slow"):
        check_asked(each)
        check_blocks(each)
        check_output(each)
    for each in marked(run, "routed"):
        assert each.marker["route"] == "/routed/<count>/<size>/<uid>", shown(each)
    check_times(run)


def application_taken(run):
    """As exact; but a list of one is taken without iterating it, so that its block is null."""
    for each in marked(run, *[label for label in CASES if label != "one"], "slow", "together"):
        check_asked(each)
        if len(each.response.body) and each.marker["blocks"] is not None:
            check_blocks(each)
            check_output(each)
        else:
            assert each.marker["bytes"] is None or not each.response.body, shown(each)
    for each in marked(run, "one"):
        assert each.marker["blocks"] is None and each.marker["output_ms"] is None, shown(each)
    check_times(run)


def check_asked(each):
    record, oracle = each.marker, each.oracle
    assert record["mode"] == "marker", shown(each)
    assert record["method"] == each.request.method, shown(each)
    assert record["path"] == shown_path(oracle["path"]), shown(each)
    assert (record["status"], record["outcome"]) == (oracle["status"], oracle["outcome"]), (
        shown(each))
    exception = record["exception"] and record["exception"].split(".")[-1]
    assert exception == oracle["exception"], shown(each)


def check_blocks(each):
    if each.oracle["returned"] == "file_wrapper":
        assert each.marker["blocks"] is None and "file_wrapper" in each.marker["notes"], shown(each)
        return
    assert each.marker["blocks"] == each.oracle["blocks"], shown(each)
    assert each.marker["bytes"] == each.oracle["bytes"], shown(each)


def check_output(each):
    """The mark lies around the reference, which so sees a little more of it."""
    record, oracle = each.marker, each.oracle
    if record["blocks"] is None:
        assert record["output_ms"] is None, shown(each)
        return
    assert 0 <= record["output_ms"] <= record["application_ms"], shown(each)
    if oracle["output_ns"]:
        assert record["output_ms"] <= oracle["output_ns"] / 1e6 + 0.001, shown(each)


def check_times(run):
    for label in TIMED:
        late = []
        for each in marked(run, label):
            inside_ms = (each.oracle["end_ns"] - each.oracle["start_ns"]) / 1e6
            late.append(each.marker["application_ms"] - inside_ms)
            # What nobody closes goes in parts, the mark around the reference first.
            assert late[-1] >= (-0.001 if each.oracle["end_known"] else -CLOCKS_MS), shown(each)
            late[-1] -= 0.02 * inside_ms
        assert min(late) < CLOCKS_MS, (label, late)


def check_sum(each):
    states = each.marker["states_ms"]
    assert states is not None, shown(each)
    assert list(states) == known_answers.STATES and min(states.values()) >= 0, shown(each)
    total, application_ms = sum(states.values()), each.marker["application_ms"]
    assert abs(total - application_ms) <= max(0.01 * application_ms, 0.002), shown(each)


def states_exact(run):
    """They add up, also of requests at the same time, and a sleep is one."""
    for each in marked(run, *ANSWERED, "slow"):
        check_sum(each)
    for each in marked(run, "nap"):
        assert each.marker["states_ms"]["sleep"] >= PAUSE_MS, shown(each)


def shares_thread(one, others):
    """Whether another request was open on its thread meanwhile."""
    return any(other is not one and other.oracle["tid"] == one.oracle["tid"]
               and other.oracle["start_ns"] < one.oracle["end_ns"]
               and one.oracle["start_ns"] < other.oracle["end_ns"] for other in others)


def states_alone(run):
    """null where requests share the thread (Tornado takes them in turns on Python before 3.14);
    else they add up, and the wait of the greenlets' hub, whatever it is for, is `other`."""
    for each in marked(run, *CASES, "slow", "body-late", "queued"):
        check_sum(each)
    for each in marked(run, "nap"):
        states = each.marker["states_ms"]
        assert max(states["other"], states["sleep"]) >= PAUSE_MS, shown(each)
    for each in marked(run, "together"):
        shared = shares_thread(each, run.of("together"))
        assert shared == ("states_mixed" in each.marker["notes"]), shown(each)
        if shared:
            assert each.marker["states_ms"] is None, shown(each)
        else:
            check_sum(each)


def states_closed(run):
    """They add up; but where the iteration raises, the server does not close the iterable, and
    they are null if it goes in another thread."""
    for each in marked(run, *[label for label in ANSWERED if label != "raise-later"], "slow"):
        check_sum(each)
    for each in marked(run, "nap"):
        assert each.marker["states_ms"]["sleep"] >= PAUSE_MS, shown(each)
    for each in marked(run, "raise-later"):
        if "states_mixed" in each.marker["notes"]:
            assert each.marker["states_ms"] is None, shown(each)
        else:
            check_sum(each)


def paused(record, ms):
    """Whether it waited for the rest of the body as long as the client paused, part of which it may
    have waited to be accepted."""
    return ms + (record["queue_ms"] or 0) >= 0.8 * BODY_PAUSE_S * 1e3


def body_exact(run):
    """Reading what the client has not sent yet is the application's time, told as such."""
    for each in marked(run, "body-late"):
        assert paused(each.marker, each.marker["socket_read_client_ms"]), shown(each)
        assert paused(each.marker, each.marker["states_ms"]["socket_read"]), shown(each)


def body_before(run):
    """The server, or what is in front of it, has it all before the application is called."""
    for each in marked(run, "body-late"):
        assert each.marker["application_ms"] < 0.8 * BODY_PAUSE_S * 1e3, shown(each)
        assert not each.marker["socket_read_client_ms"], shown(each)


def body_other(run):
    """The application's time, in which the greenlets' hub waits for anything."""
    for each in marked(run, "body-late"):
        assert paused(each.marker, each.marker["states_ms"]["other"]), shown(each)


def body_lock(run):
    """The application's time, in which its thread waits for another that reads: `lock`."""
    for each in marked(run, "body-late"):
        assert paused(each.marker, each.marker["states_ms"]["lock"]), shown(each)


def file_sendfile(run):
    """wsgi.file_wrapper reaches the server as it is, which sends it by sendfile()."""
    file_wrapper(run)
    assert run.sent_by_sendfile, "sendfile() was not called"


def file_wrapper(run):
    """wsgi.file_wrapper reaches the server as it is, which reads and writes."""
    for each in marked(run, "file"):
        assert "file_wrapper" in each.marker["notes"], shown(each)
        assert len(each.response.body) > 2_000_000, shown(each)


def file_none(run):
    """The server has no wsgi.file_wrapper: an iterable like any other."""
    for each in marked(run, "file"):
        assert "file_wrapper" not in each.marker["notes"], shown(each)
        assert each.marker["bytes"] == len(each.response.body) > 2_000_000, shown(each)


# --- what went to the client ---------------------------------------------------------------------

def answered(run):
    return marked(run, *ANSWERED)


def status_exact(run):
    """The status line that the client got, also where the server made it after an error."""
    for each in answered(run):
        assert each.marker["wire_status"] == each.response.status, shown(each)


def status_front(run):
    """The worker's; where it has none to say, after an error, the front end makes one up."""
    for each in answered(run):
        if each.marker["write_bytes"]:
            assert each.marker["wire_status"] == each.response.status, shown(each)
        else:
            assert each.marker["wire_status"] is None, shown(each)


def status_guessed(run):
    """As exact, or null where the writes are."""
    for each in answered(run):
        if each.marker["write_bytes"]:
            assert each.marker["wire_status"] == each.response.status, shown(each)
        else:
            assert each.marker["wire_status"] is None, shown(each)


def status_unseen(run):
    """null."""
    for each in answered(run):
        assert each.marker["wire_status"] is None, shown(each)


def check_written(each):
    record, raw = each.marker, each.response.raw
    if not raw:
        assert not record["write_bytes"] and record["first_byte_ms"] is None, shown(each)
        return
    assert record["write_calls"] >= 1 and record["write_ms"] > 0, shown(each)
    assert record["write_bytes"] == len(raw), shown(each)


def writes_exact(run):
    """Calls, their time and bytes: the bytes that the client got, byte by byte."""
    for each in answered(run):
        check_written(each)


def writes_guessed(run):
    """The server does not let the client's descriptor be seen: the socket is the one that the
    thread has read last. Null with a note of the first requests after attaching, before that is
    known, and from when two requests of a thread overlap."""
    assert len(run.first) > 1 and "writes_unseen" in run.first[0]["notes"], run.first
    for each in marked(run, *CASES, "body-late", "queued"):
        if each.response.raw:
            check_written(each)
    for each in marked(run, "together"):
        if each.marker["write_bytes"] is not None:
            check_written(each)
        else:
            assert "writes_unseen" in each.marker["notes"], shown(each)


def writes_front(run):
    """What the worker writes to the front end, which says it to the client in its own words."""
    for each in answered(run):
        if each.response.raw and each.marker["outcome"] == "ok":
            assert each.marker["write_calls"] >= 1, shown(each)
            assert each.marker["write_bytes"] > len(each.response.body) - 1, shown(each)


def writes_unseen(run):
    """null, and a note."""
    for each in answered(run):
        assert each.marker["write_bytes"] is None, shown(each)
        assert "writes_unseen" in each.marker["notes"], shown(each)


def slow_exact(run):
    """16 MB in 4 blocks through a small receive buffer: every byte, however many calls, whoever
    makes them."""
    for each in marked(run, "slow"):
        assert len(each.response.body) == SLOW["count"] * SLOW["size"], shown(each)
        check_written(each)


def slow_front(run):
    """All bytes, as the front end takes them."""
    for each in marked(run, "slow"):
        assert each.marker["write_bytes"] > SLOW["count"] * SLOW["size"], shown(each)


def slow_cut(run):
    """Complete, or too little and a note that says so."""
    for each in marked(run, "slow"):
        if "writes_cut" not in each.marker["notes"]:
            check_written(each)
        else:
            assert each.marker["write_bytes"] < len(each.response.raw), shown(each)


def slow_unseen(run):
    """null."""
    for each in marked(run, "slow"):
        assert each.marker["write_bytes"] is None, shown(each)


def first_exact(run):
    """When the first byte left, on the client's clock between its request and the answer's end."""
    for each in answered(run):
        if not each.response.raw:
            continue
        first_ns = each.oracle["start_ns"] + each.marker["first_byte_ms"] * 1e6
        # The worker may lose its CPU between the write and the reading of the clock.
        assert each.response.sent_ns < first_ns < each.response.done_ns + 100e6, shown(each)


def first_front(run):
    """When it left the worker, for the front end."""
    for each in answered(run):
        if each.marker["write_bytes"]:
            waited_ms = (each.response.done_ns - each.oracle["start_ns"]) / 1e6
            assert 0 < each.marker["first_byte_ms"] < waited_ms + 100, shown(each)
        else:
            assert each.marker["first_byte_ms"] is None, shown(each)


def first_guessed(run):
    """As exact, or null where the writes are."""
    for each in answered(run):
        assert (each.marker["first_byte_ms"] is None) == (not each.marker["write_bytes"]), (
            shown(each))
    first_front(run)


def first_unseen(run):
    """null."""
    for each in answered(run):
        assert each.marker["first_byte_ms"] is None, shown(each)


def check_header(each):
    record = each.marker
    assert record["queue_source"] == "x-request-start", shown(each)
    least = QUEUED_S * 1e3
    most = least + (each.response.done_ns - each.response.sent_ns) / 1e6
    assert least - 1 <= record["queue_ms"] <= most + 1, shown(each)


def queue_exact(run):
    """By the front end's header; without one, from when the request's bytes were on the socket."""
    for each in marked(run, "queued"):
        check_header(each)
    for each in marked(run, *CASES):
        assert each.marker["queue_source"] == "socket", shown(each)
        waited_ms = (each.response.done_ns - each.response.sent_ns) / 1e6
        assert 0 <= each.marker["queue_ms"] <= waited_ms + 11, shown(each)


def queue_header(run):
    """By the header alone: the socket of the request is not known when it begins."""
    for each in marked(run, "queued"):
        check_header(each)
    for each in marked(run, *CASES):
        assert each.marker["queue_ms"] is None, shown(each)


def queue_front(run):
    """The front end says it of every request, in its own clock's milliseconds."""
    for each in marked(run, *CASES):
        assert each.marker["queue_source"] == "x-request-start", shown(each)
        assert 0 <= each.marker["queue_ms"] < 100, shown(each)


# --- without the marker --------------------------------------------------------------------------

def seen(run, *labels):
    found = run.of(*labels)
    for each in found:
        assert each.wire, "no record by the wire" + shown(each)
    return found


def wire_exact(run):
    """Method, path and status as the client sent and got them."""
    for each in seen(run, *ANSWERED, "slow"):
        assert each.wire["mode"] == "wire", shown(each)
        assert each.wire["method"] == each.request.method, shown(each)
        assert each.wire["path"] == each.marker["path"], shown(each)
        assert each.wire["status"] == each.response.status, shown(each)
        for key in ("blocks", "bytes", "output_ms", "exception", "route"):
            assert each.wire[key] is None, (key, shown(each))


def wire_front(run):
    """As the worker read and said it; what the front end makes up after an error is not seen."""
    for each in seen(run, *ANSWERED, "slow"):
        assert (each.wire["method"], each.wire["path"]) == (
            each.request.method, each.marker["path"]), shown(each)
        status = each.response.status if each.wire["write_bytes"] else None
        assert each.wire["status"] == status, shown(each)


def wire_bytes_exact(run):
    """Of the request and of the answer, byte by byte."""
    for each in seen(run, *ANSWERED, "slow"):
        assert (each.wire["write_bytes"] or 0) == len(each.response.raw), shown(each)
        assert each.wire["request_bytes"] == len(each.request.encode()), shown(each)


def wire_bytes_front(run):
    """What goes between the worker and its front end."""
    for each in seen(run, *CASES):
        if each.response.raw and each.marker["outcome"] == "ok":
            assert each.wire["write_bytes"] >= len(each.response.body), shown(each)


# The server's answer to an exception comes after the application's end.
SAME_END = ["gen", "gen-many", "closing", "list", "nap", "write", "one", "together"]


def wire_time_exact(run):
    """That of the application, to 1 ms or 2 %."""
    for label in SAME_END:
        off = [abs(each.wire["application_ms"] - each.marker["application_ms"])
               / max(CLOCKS_MS, 0.02 * each.marker["application_ms"]) for each in seen(run, label)]
        assert min(off) < 1, (label, off)


def wire_time_client(run):
    """What the client has to wait for its answer: with what the server does before and after."""
    for label in [*SAME_END, "body-late"]:
        short = []
        for each in seen(run, label):
            waited_ms = (each.response.done_ns - each.response.sent_ns) / 1e6
            assert each.wire["application_ms"] <= waited_ms + 20, shown(each)
            # It ends with the last write; after that one thread or another may be late.
            short.append(min(waited_ms, each.marker["application_ms"])
                         - each.wire["application_ms"])
        assert min(short) < CLOCKS_MS, (label, short)


WERKZEUG_WAITS_MS = 10


def wire_time_unread(run):
    """That of the application, less the 10 ms that the server waits, after its last write and
    before `close()`, for more of a request than there is. A list has no `close()`: nothing less."""
    for label in SAME_END:
        found = seen(run, label)
        waits_ms = WERKZEUG_WAITS_MS if found[0].oracle["returned"] != "list" else 0
        off = [abs(each.marker["application_ms"] - each.wire["application_ms"] - waits_ms)
               for each in found]
        assert min(off) < CLOCKS_MS, (label, off)


CHECKS = {
    "application": {"exact": application_exact, "taken": application_taken},
    "states": {"exact": states_exact, "closed": states_closed, "alone": states_alone},
    "body": {"exact": body_exact, "before": body_before, "other": body_other, "lock": body_lock},
    "file": {"sendfile": file_sendfile, "wrapper": file_wrapper, "none": file_none},
    "status": {"exact": status_exact, "front": status_front, "guessed": status_guessed,
               "–": status_unseen},
    "writes": {"exact": writes_exact, "front": writes_front, "guessed": writes_guessed,
               "–": writes_unseen},
    "slow": {"exact": slow_exact, "front": slow_front, "cut": slow_cut, "–": slow_unseen},
    "first": {"exact": first_exact, "front": first_front, "guessed": first_guessed,
              "–": first_unseen},
    "queue": {"exact": queue_exact, "header": queue_header, "front": queue_front},
    "wire": {"exact": wire_exact, "front": wire_front},
    "wire bytes": {"exact": wire_bytes_exact, "front": wire_bytes_front},
    "wire time": {"exact": wire_time_exact, "client": wire_time_client,
                  "unread": wire_time_unread},
}
