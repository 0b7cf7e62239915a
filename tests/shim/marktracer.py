# SPDX-License-Identifier: BSD-2-Clause
"""A tracer inside the test's own process: raises the semaphores, catches the marks (capture.c)."""

import ctypes
import re
import subprocess

STRINGS = ["method", "script", "path", "queue", "traceparent", "app", "route", "exception"]
FLAGS = [
    "EXC_CALL", "EXC_ITER", "EXC_CLOSE", "EXHAUSTED", "CLOSED", "UNCLOSED", "BYTES", "STR",
    "FILE_WRAPPER", "WRITE", "BLOCKS_UNSEEN", "END_INFERRED", "NESTED", "CLIENT_FD",
]
KINDS = ["start", "block", "end"]
ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le", 8: "utf-8"}


class Str(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_uint64), ("len", ctypes.c_uint32), ("kind", ctypes.c_uint32)]


class Request(ctypes.Structure):
    _fields_ = (
        [("version", ctypes.c_uint32), ("size", ctypes.c_uint32)]
        + [(name, ctypes.c_uint64) for name in (
            "id", "start_ns", "end_ns", "first_block_ns", "output_ns", "blocks", "bytes",
            "block_bytes", "block_app_ns", "block_output_ns")]
        + [("status", ctypes.c_uint32), ("fd", ctypes.c_int32), ("flags", ctypes.c_uint32),
           ("text_bytes", ctypes.c_uint32)]
        + [(name, Str) for name in STRINGS]
        + [("text", ctypes.c_char * 128)]
    )


class Capture(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint32), ("pid", ctypes.c_uint32), ("now_ns", ctypes.c_uint64),
                ("mark", Request), ("texts", ctypes.c_ubyte * 512 * len(STRINGS))]


class Mark:
    """One mark that fired: struct wsgiscope_request with strings as text and flags as a set."""

    def __init__(self, capture):
        self.kind = KINDS[capture.kind]
        self.pid = capture.pid
        self.now_ns = capture.now_ns
        for name, _ in Request._fields_:
            setattr(self, name, getattr(capture.mark, name))
        self.flags = {name for bit, name in enumerate(FLAGS) if capture.mark.flags & 1 << bit}
        assert capture.mark.flags < 1 << len(FLAGS)
        for i, name in enumerate(STRINGS):
            where = getattr(capture.mark, name)
            width = 1 if where.kind == 8 else where.kind
            raw = bytes(capture.texts[i])[: where.len * width]
            setattr(self, name, raw.decode(ENCODINGS[where.kind]) if where.kind else None)

    def __repr__(self):
        return "<%s %d %s>" % (self.kind, self.id, sorted(self.flags))

    @property
    def application_ms(self):
        return (self.end_ns - self.start_ns) / 1e6

    @property
    def output_ms(self):
        return self.output_ns / 1e6


def read_notes(library):
    """{name: (address, semaphore, arguments)} from the USDT notes of a file."""
    text = subprocess.run(["readelf", "-nW", library], check=True, capture_output=True,
                          text=True).stdout
    found = re.findall(
        r"Provider: wsgiscope\s+Name: (\w+)\s+Location: (\w+), Base: \w+, Semaphore: (\w+)"
        r"\s+Arguments: (.+)", text)
    return {name: (int(at, 16), int(sem, 16), args) for name, at, sem, args in found}


def read_base(library):
    """Where this process has mapped the start of a file."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            words = line.split()
            if words[-1] == library and words[2] == "00000000":
                return int(words[0].split("-")[0], 16)
    raise LookupError(library)


class Tracer:
    def __init__(self, marker, capture):
        self.library = marker
        self.log = ctypes.CDLL(capture)
        assert ctypes.c_uint.in_dll(self.log, "capture_size").value == ctypes.sizeof(Capture)
        self.count = ctypes.c_uint.in_dll(self.log, "capture_count")
        self.entries = (Capture * 4096).in_dll(self.log, "capture_log")
        base = read_base(marker)
        self.semaphores = {}
        self.log.capture_install.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        for name, (at, semaphore, _) in read_notes(marker).items():
            kind = name.replace("request_", "")
            self.semaphores[kind] = ctypes.c_uint16.from_address(base + semaphore)
            target = ctypes.cast(getattr(self.log, "capture_" + kind), ctypes.c_void_p)
            assert self.log.capture_install(base + at, target) == 0

    def attach(self, *kinds):
        self.count.value = 0
        for kind in kinds:
            self.semaphores[kind].value = 1

    def detach(self):
        for semaphore in self.semaphores.values():
            semaphore.value = 0

    @property
    def marks(self):
        assert self.count.value <= len(self.entries)
        return [Mark(self.entries[i]) for i in range(self.count.value)]

    def of(self, kind):
        return [mark for mark in self.marks if mark.kind == kind]

    @property
    def end(self):
        """The one request that was seen from its start to its end."""
        starts, ends = self.of("start"), self.of("end")
        assert len(starts) == len(ends) == 1, self.marks
        assert starts[0].id == ends[0].id > 0
        assert starts[0].end_ns == 0 and starts[0].start_ns <= starts[0].now_ns
        assert ends[0].start_ns <= ends[0].end_ns <= ends[0].now_ns
        return ends[0]
