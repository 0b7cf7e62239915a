# SPDX-License-Identifier: BSD-2-Clause
"""seeds_small.py CORPUS: seeds of what needs no recording: line tables of this Python's own code,
headers and addresses, and damage to the images that the frame walk goes over."""
import ast
import dis
import pathlib
import struct
import sys

HEADERS = [b"gzip;q=0.5, identity;q=0, *;q=0.001", b"deflate, gzip", b"gzip;q=0", b"*",
           b"application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.3",
           b"text/html;q=\"a,b\", */*", b"127.0.0.1:9748", b"[::1]:0", b"host:99999", b":80"]
IMAGES = 7  # as in fuzz_walk.c


def codes(code):
    yield code
    for const in code.co_consts:
        if hasattr(const, "co_code"):
            yield from codes(const)


def lines_write(corpus):
    """The first byte is the format: fuzz_linetable.c takes it modulo 3."""
    for module in (ast, dis):
        with open(module.__file__, "rb") as stream:
            whole = compile(stream.read(), module.__file__, "exec")
        for index, code in enumerate(list(codes(whole))[:20]):
            table = getattr(code, "co_linetable", code.co_lnotab)
            for kind in range(3):
                (corpus / f"{module.__name__}-{index}-{kind}").write_bytes(
                    bytes([kind]) + struct.pack("=I", code.co_firstlineno) + table)
    # Entries of kind 14, each as many lines on as a varint can say: more than a number holds.
    apart = bytes([0x80 | 14 << 3, 0x7e]) + b"\x7f" * 9 + b"\x3f" + bytes(3)
    (corpus / "apart").write_bytes(bytes([2]) + struct.pack("=I", 1) + 64 * apart)


def headers_write(corpus):
    for index, header in enumerate(HEADERS):
        (corpus / str(index)).write_bytes(header)


def walks_write(corpus):
    """Which image, then changes: place, piece, number, kind."""
    for image in range(IMAGES):
        for index in range(16):
            changes = b"".join(struct.pack("=HHIB", place * 97, place, index * 8, index)
                               for place in range(index * 5, index * 5 + index))
            (corpus / f"{image}-{index}").write_bytes(bytes([image]) + changes)


for name, write in {"fuzz_linetable": lines_write, "fuzz_headers": headers_write,
                    "fuzz_walk": walks_write}.items():
    folder = pathlib.Path(sys.argv[1]) / name
    folder.mkdir(parents=True, exist_ok=True)
    write(folder)
