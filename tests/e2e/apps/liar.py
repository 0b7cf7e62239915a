# SPDX-License-Identifier: BSD-2-Clause
"""A worker whose marks lie: calls the marker's exported marks with structs of its own making.

Reads one lie's name a line on stdin, and numbers behind some, tells it, answers with the name on
stdout, and with how many requests it told of: those that began, and those that ended without having
begun. The layout is python-shim/marks.h, written down a second time on purpose: a lie may break any
rule of it."""
import ctypes
import mmap
import sys
import time

import wsgiscope._marker as marker

LIBRARY = ctypes.CDLL(marker.__file__)
START = LIBRARY.wsgiscope_request_start
BLOCK = LIBRARY.wsgiscope_request_block
END = LIBRARY.wsgiscope_request_end
U64, U32, I32 = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_int32
for mark in (START, BLOCK, END):
    mark.argtypes, mark.restype = [ctypes.c_void_p], None
START.argtypes += [U64, U64, I32]
CLOSED, EXHAUSTED = 1 << 4, 1 << 3


class Str(ctypes.Structure):
    _fields_ = [("ptr", U64), ("len", U32), ("kind", U32)]


class Request(ctypes.Structure):
    _fields_ = (
        [("version", U32), ("size", U32)]
        + [(name, U64) for name in
           ("id", "start_ns", "end_ns", "first_block_ns", "output_ns", "blocks", "bytes",
            "block_bytes", "block_app_ns", "block_output_ns")]
        + [("status", U32), ("fd", I32), ("flags", U32), ("text_bytes", U32)]
        + [(name, Str) for name in
           ("method", "script", "path", "queue", "traceparent", "app", "route", "exception")]
        + [("text", ctypes.c_char * 128)])


SIZE = 360
assert ctypes.sizeof(Request) == SIZE
KEPT = []
COUNTER = [1000]
PLACES = []
TOLD = [0]  # requests that began, or ended without having begun


def text(data, length=None, kind=1):
    buffer = ctypes.create_string_buffer(data)
    KEPT.append(buffer)
    return Str(ctypes.addressof(buffer), len(data) if length is None else length, kind)


def honest(path=b"/honest", **changes):
    """A request without a lie, but for the changes."""
    COUNTER[0] += 1
    request = Request(version=2, size=SIZE, id=COUNTER[0], start_ns=1, blocks=1, bytes=5,
                      status=200, fd=-1, flags=0, method=text(b"GET"),
                      path=text(path) if isinstance(path, bytes) else path)
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def start(request):
    TOLD[0] += 1
    START(ctypes.addressof(request), request.id, request.start_ns, request.fd)


def end(request):
    request.end_ns = request.end_ns or request.start_ns + 1000
    request.flags |= CLOSED | EXHAUSTED
    END(ctypes.addressof(request))


def tell(request):
    start(request)
    end(request)
    KEPT.clear()


def lie_honest():
    tell(honest())


def lie_bad_pointers():
    """The struct itself is not there, or only half of it."""
    edge = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    last = ctypes.addressof(ctypes.c_char.from_buffer(edge)) + 2 * mmap.PAGESIZE - 16
    for pointer in (0, 1, 8, 0xdeadbeef000, 0xffffffffff600000, 0xffff888000000000, 2**63,
                    2**64 - 8, last):
        TOLD[0] += 1
        START(pointer, 0, 0, -1)
        BLOCK(pointer)
        END(pointer)


def lie_gone_structs():
    """The registers of the start mark are sound, the struct is not there when it is read: the
    thread leaves the CPU in between."""
    for pointer in (1, 0xdeadbeef000, 2**64 - 8):
        COUNTER[0] += 1
        TOLD[0] += 1
        START(pointer, COUNTER[0], 1, -1)
        time.sleep(0.001)
        END(pointer)


def lie_bad_strings():
    for pointer in (0, 1, 0xdeadbeef000, 0xffff888000000000, 2**64 - 1):
        for length in (1, 255, 2**31, 2**32 - 1):
            for kind in (0, 1, 2, 3, 4, 8, 2**31):
                tell(honest(path=b"/bad", route=Str(pointer, length, kind),
                            method=Str(pointer, length, kind)))


def lie_lengths():
    """Lengths far beyond the string, to the end of memory that can be read."""
    for length in (256, 257, 4096, 2**16, 2**31 - 1, 2**31, 2**32 - 1):
        for kind in (1, 2, 4, 8):
            tell(honest(path=text(b"/endless" * 4, length, kind), app=text(b"x", length, kind),
                        exception=text(b"y", length, kind), route=text(b"z", length, kind),
                        script=text(b"", length, kind)))


def lie_text_beside():
    """Strings that begin in the struct's text, or next to it, and end where they should not."""
    for used in (0, 1, 127, 128, 129, 2**31, 2**32 - 1):
        for offset in (-2**20, -128, -1, 0, 1, 127, 128, 2**20):
            for length in (0, 1, 127, 128, 129, 2**32 - 1):
                request = honest(path=b"/beside", text=b"A" * 128, text_bytes=used)
                pointer = (ctypes.addressof(request) + Request.text.offset + offset) % 2**64
                request.route = request.script = Str(pointer, length, 1 << length % 4)
                tell(request)


def lie_text_changes():
    """Another text at the end than at the start, shorter than what was there."""
    for used in (0, 1, 128):
        request = honest(text=b"/change/" * 16, text_bytes=128)
        pointer = ctypes.addressof(request) + Request.text.offset
        request.path = Str(pointer, 8, 1)
        start(request)
        request.text, request.text_bytes = b"\x1b[2J" * 32, used
        request.route = Str(pointer + 120, 8, 1)
        end(request)
    KEPT.clear()


def lie_numbers():
    for value in (2**32 - 1, 2**63, 2**64 - 1):
        tell(honest(path=b"/numbers", blocks=value, bytes=value, output_ns=value,
                    first_block_ns=value))
        tell(honest(path=b"/numbers", start_ns=value, end_ns=1))
        tell(honest(path=b"/numbers", end_ns=value))
    for fd in (-2**31, -2, 0, 1, 2, 1023, 1024, 2**20, 2**31 - 1):
        tell(honest(path=b"/numbers", fd=fd, flags=1 << 13))
    for status in (0, 1, 99, 1000, 2**32 - 1):
        tell(honest(path=b"/numbers", status=status))
    tell(honest(path=b"/numbers", flags=2**32 - 1))


def lie_versions():
    for version, size in ((0, SIZE), (2, SIZE), (2**32 - 1, SIZE), (1, 0), (1, 8), (1, 232),
                          (1, SIZE - 1), (1, SIZE + 1), (1, 2**32 - 1), (1, 4096)):
        tell(honest(path=b"/versions", version=version, size=size))


def lie_reused_ids():
    for _ in range(50):
        start(honest(path=b"/reused", id=7))
    for _ in range(50):
        end(honest(path=b"/reused", id=7, end_ns=5))
    TOLD[0] += 49
    tell(honest(path=b"/reused", id=0))


def lie_ends_without_start():
    for _ in range(100):
        TOLD[0] += 1
        end(honest(path=b"/no-start", end_ns=5))
    KEPT.clear()


def lie_starts_without_end():
    """More than may be in flight."""
    for _ in range(20_000):
        start(honest(path=b"/no-end"))
        KEPT.clear()


def lie_control_characters():
    tell(honest(path=b"/\x1b[2J\x1b]0;owned\x07\r\n\0\x7f\x9b" + bytes(range(1, 32)),
                method=text(b"\x1b[31m\n"), app=text(b"\xff\xfe\x00\n"),
                exception=text(b"\xed\xa0\x80\x1b", kind=8),
                route=text(b"\x00\xd8\x1b\x00", 2, 2)))
    tell(honest(path=b"/surrogates", route=text(b"\xff\xff\xff\xff\x00\xd8\x00\x00", 2, 4)))


def tell_next(request, pointer):
    """One more request, begun and ended, whatever its strings say by now."""
    request.id += 1
    TOLD[0] += 1
    request.start_ns, request.end_ns, request.flags = 1, 0, 0
    START(pointer, request.id, request.start_ns, -1)
    request.end_ns, request.flags = 1001, CLOSED | EXHAUSTED
    END(pointer)


def lie_many_paths():
    """200,000 paths, all different, as fast as it goes; no lie but their number."""
    buffer = ctypes.create_string_buffer(64)
    request = honest()
    request.path = Str(ctypes.addressof(buffer), 24, 1)
    pointer = ctypes.addressof(request)
    for number in range(200_000):
        buffer.value = b"/many/%018x" % (number * 2654435761 % 2**64)
        tell_next(request, pointer)


LETTERS = bytes.maketrans(b"0123456789abcdef", b"abcdefghijklmnop")


def letters(number):
    """16 letters, other ones for each number: what looks like a name, not like a value."""
    return (b"%016x" % (number * 0x9e3779b97f4a7c15 % 2**64)).translate(LETTERS)


def lie_forged_names(first, count, rate):
    """So many requests from the first on, so many a second; each has a path, an application and a
    method, and every second a route, that no other has."""
    buffers = [ctypes.create_string_buffer(64) for _ in range(4)]
    request = honest()
    request.path, request.app, request.method, route = (
        Str(ctypes.addressof(each), 0, 1) for each in buffers)
    pointer, began = ctypes.addressof(request), time.monotonic()
    for number in range(first, first + count):
        name = letters(number)
        for buffer, where, value in zip(buffers, (request.path, request.app, request.method),
                                        (b"/forged/%s/x" % name, name[:12], name[4:])):
            buffer.value, where.len = value, len(value)
        buffers[3].value, route.len = b"/<%s>" % name, 18
        request.route = route if number % 2 else Str()
        tell_next(request, pointer)
        if number % 256 == 0:
            time.sleep(max(0, began + (number - first) / rate - time.monotonic()))


def mappings_of_marker():
    """[(start, bytes)] in this process."""
    with open("/proc/self/maps", encoding="ascii") as stream:
        fields = [line.split() for line in stream]
    ranges = [each[0].split("-") for each in fields if each[-1] == marker.__file__]
    return [(int(start, 16), int(end, 16) - int(start, 16)) for start, end in ranges]


def lie_unmapped():
    """The marker goes from under the tracer, and other bytes take its place: they stay as they
    are. This process has no mark any more, and must not use Python's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [
        ctypes.c_long]
    fixed = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10  # MAP_FIXED: unmaps what was there
    for start, size in mappings_of_marker():
        assert libc.mmap(start, size, mmap.PROT_READ | mmap.PROT_WRITE, fixed, -1, 0) == start
        ctypes.memset(start, 0x5a, size)
        PLACES.append((start, size))


def lie_unchanged():
    """Where the marker was lies what was put there."""
    for start, size in PLACES:
        assert ctypes.string_at(start, size) == b"\x5a" * size, hex(start)


def main():
    print("ready", flush=True)
    for line in sys.stdin:
        lie, *numbers = line.split()
        TOLD[0] = 0
        globals()["lie_" + lie](*map(int, numbers))
        print(lie, TOLD[0], flush=True)


if __name__ == "__main__":
    main()
