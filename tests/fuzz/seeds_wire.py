# SPDX-License-Identifier: BSD-2-Clause
"""seeds_wire.py CORPUS: a request of each protocol, responses and chunked bodies, as seeds for
fuzz_wire: two bytes of its own before each."""
import pathlib
import struct
import sys

VARS = [b"REQUEST_METHOD", b"POST", b"SCRIPT_NAME", b"/app", b"PATH_INFO", b"/caf\xc3\xa9",
        b"CONTENT_LENGTH", b"5", b"HTTP_X_REQUEST_START", b"t=1795318324.266"]


def uwsgi():
    body = b"".join(struct.pack("<H", len(var)) + var for var in VARS)
    return struct.pack("<BHB", 0, len(body), 0) + body + b"12345"


def mod_wsgi():
    body = b"".join(var + b"\0" for var in VARS)
    return struct.pack("=QQ", len(body) + 8, len(VARS)) + body


SEEDS = {
    "get": b"GET /a/./b/../c%2Fd?q#f HTTP/1.1\r\nHost: a\r\nX-Queue-Start: t=1\r\n"
           b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
    "absolute": b"\r\nGET http://host//a HTTP/1.0\nConnection: keep-alive, Upgrade\n"
                b"Upgrade: x\n\n",
    "chunked": b"PUT /caf\xe9 HTTP/1.1\r\nTransfer-Encoding: gzip,\r\n chunked\r\n"
               b"Expect: 100-continue\r\n\r\n5;a=b\r\nabcde\r\n0\r\nTrailer: x\r\n\r\n",
    "lengths": b"PUT / HTTP/1.1\r\nContent-Length: 5, 5\r\nContent-Length : 6\r\n\r\n12345",
    "old": b"GET /\r\n",
    "uwsgi": uwsgi(),
    "mod_wsgi": mod_wsgi(),
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "ok": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "status": b"Status: 200 Continue\r\n\r\nStatus: 200 OK\r\n\r\n",
    "body": b"5\r\nabcde\r\n1000 ;x\r\n",
}

corpus = pathlib.Path(sys.argv[1])
for name, seed in SEEDS.items():
    for rules, part in ((0, 128), (0x0e, 255), (0xf1, 40)):
        (corpus / f"{name}-{rules}").write_bytes(bytes((rules, part)) + seed)
