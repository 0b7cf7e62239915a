# SPDX-License-Identifier: BSD-2-Clause
"""The requests of the matrix: every way an application can answer, as data."""
from client import Request

# label: arguments of Request. The order is that of the issue.
CASES = {
    "list": dict(way="list", count=3, size=100),
    "list-big": dict(way="list", count=2, size=400_000),
    "list-head": dict(way="list", count=3, size=100, method="HEAD"),
    "one": dict(way="chunks", count=1, size=100),
    "chunks": dict(way="chunks", count=3, size=100),
    "tuple": dict(way="tuple", count=3, size=100),
    "sized": dict(way="sized", count=1, size=100),
    "gen": dict(way="gen", count=5, size=100),
    "gen-many": dict(way="gen", count=2000, size=16),
    "gen-head": dict(way="gen", count=5, size=100, method="HEAD"),
    "closing": dict(way="closing", count=3, size=100),
    "bare": dict(way="bare", count=3, size=100),
    "write": dict(way="write", count=3, size=100),
    "write-gen": dict(way="write_gen", count=3, size=100),
    "blank": dict(way="blank"),
    "nothing": dict(way="nothing"),
    "gen-nothing": dict(way="gen_nothing"),
    "gen-blank": dict(way="gen_blank", count=3, size=100),
    "not-found": dict(way="not_found", size=100),
    "raise-call": dict(way="raise_call"),
    "raise-started": dict(way="raise_started"),
    "raise-first": dict(way="raise_first"),
    "raise-later": dict(way="raise_later", count=2, size=100),
    "raise-close": dict(way="raise_close", count=2, size=100),
    "late": dict(way="late", count=3, size=100),
    "twice": dict(way="twice", size=100),
    "bytes": dict(way="bytes", size=100),
    "str": dict(way="str", size=5),
    "file": dict(way="file"),
    "file-read": dict(way="file_read", count=3, size=5000),
    "slow": dict(way="slow", count=2, size=100),
    "stream": dict(way="stream", count=5, size=100),
    "echo": dict(way="echo", method="POST", body=b"what the client sent\n" * 10),
    "path-utf8": dict(way="list", extra="caf%C3%A9%E4%BD%A0"),
    "path-bytes": dict(way="list", extra="%FF%FE"),
    "path-control": dict(way="list", extra="%1B%5B31mred%07%0Aline%7F"),
}


def requests(repeat=1, labels=None):
    """[(label, Request)], each with an id of its own."""
    return [(label, Request(**CASES[label])) for _ in range(repeat)
            for label in labels or CASES]
