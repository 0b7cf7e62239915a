#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The cases of h11's own test suite (Debian: python3-h11), as it runs: every time that one of its
tests has bytes read, what they were and what h11 made of them. Prints a line of JSON each: kind R
(a request's head), A (a response's) or C (a chunked body), the bytes, and h11's word for them."""
import contextlib
import json
import os
import sys

import h11
import pytest
from h11 import _connection, _headers, _readers
from h11._util import LocalProtocolError


def head_of(event):
    """What h11 made of a head, in the words of walk.c."""
    said = {"keep_alive": _connection._keep_alive(event)}
    if isinstance(event, h11.Request):
        said.update(method=event.method.hex(), target=event.target.hex(),
                    expect=_headers.has_expect_100_continue(event))
    else:
        said.update(status=event.status_code)
    if not isinstance(event, h11.InformationalResponse):
        framing, length = _connection._body_framing(b"GET", event)
        said.update(framing=framing, length=length[0] if length else -1)
    return said


class Recorder:
    """Stands where h11 has its readers."""

    def __init__(self):
        self.cases = {}

    def note(self, kind, given, verdict, **said):
        self.cases.setdefault((kind, given), {"kind": kind, "bytes": given.hex(),
                                              "verdict": verdict, **said})

    def head_reader(self, kind, reader):
        def read(buffer):
            before = bytes(buffer)
            try:
                event = reader(buffer)
            except LocalProtocolError as error:
                self.note(kind, before, "refused", why=str(error))
                raise
            if event is None:
                self.note(kind, before, "more")
            else:
                self.note(kind, before, "read", used=len(before) - len(bytes(buffer)),
                          **head_of(event))
            return event
        return read

    def chunked_call(self, call):
        """Of one body what was taken so far, for it comes in pieces. A call may make another."""
        def read(reader, buffer):
            if getattr(reader, "_inside", False):
                return call(reader, buffer)
            before = bytes(buffer)
            taken, data = reader.__dict__.setdefault("_recorded", (b"", 0))
            reader._inside = True
            try:
                event = call(reader, buffer)
            except LocalProtocolError as error:
                self.note("C", taken + before, "refused", why=str(error))
                raise
            finally:
                reader._inside = False
            used = len(before) - len(bytes(buffer))
            if isinstance(event, h11.Data):
                data += len(event.data)
            reader._recorded = taken + before[:used], data
            if isinstance(event, h11.EndOfMessage):
                self.note("C", taken + before, "read", used=len(taken) + used, data=data)
            return event
        return read


def record():
    recorder = Recorder()
    readers = _readers.READERS
    for state in list(readers):
        if readers[state] is _readers.maybe_read_from_IDLE_client:
            readers[state] = recorder.head_reader("R", readers[state])
        elif readers[state] is _readers.maybe_read_from_SEND_RESPONSE_server:
            readers[state] = recorder.head_reader("A", readers[state])
    chunked = _readers.ChunkedReader
    chunked.__call__ = recorder.chunked_call(chunked.__call__)
    with contextlib.redirect_stdout(sys.stderr):
        status = pytest.main(["-q", "-p", "no:cacheprovider", "--pyargs", "h11.tests",
                              "--rootdir", os.path.dirname(h11.__file__)])
    return status, list(recorder.cases.values())


def main():
    status, cases = record()
    for case in cases:
        print(json.dumps(case))
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
