# SPDX-License-Identifier: BSD-2-Clause
"""seeds.py RECORDINGS CORPUS SETTINGS: each recording, each record of it by itself, the settings,
alone and with requests behind them, patterns with paths, and turns of connections, as seeds."""
import pathlib
import shutil
import struct
import sys

HEADER_BYTES = 32  # user/recording_format.h
RECORDS_MAX = 64   # of one recording: the rest would be much the same

REQUESTS = b"""/issue/42
/raises/in/call
00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
/caf\xc3\xa9/\xff"\\
application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4
"""

# As fuzz_turns.c reads them: (operation * 4, bytes).
(READ, WRITE, READ_UNSEEN, WRITE_UNSEEN, END, CLOSE, CLOSED, LAST_CHUNK, READ_HELD,
 WRITE_HELD) = range(0, 40, 4)
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
TURNS = {
    "alive": [(READ, GET), (WRITE, OK), (END, b"")] * 3 + [(CLOSED, b"")],
    "held": [(READ_HELD, GET), (WRITE_HELD, OK[:-5]), (WRITE_HELD, OK[-5:]), (END, b"")] * 2
    + [(READ_HELD, POST), (READ, b"0123456789"), (WRITE_HELD, OK[:20]), (WRITE, OK[20:]),
       (CLOSE, b"")],
    "pipelined": [(READ, GET * 3), (WRITE, OK), (END, b""), (WRITE, OK + OK), (END, b"")],
    "continue": [(READ, POST), (WRITE, b"HTTP/1.1 100 Continue\r\n\r\n"), (READ, b"0123456789"),
                 (WRITE, OK), (CLOSE, b"")],
    "late": [(READ, POST), (WRITE, OK), (END, b""), (READ, b"0123456789" + GET), (WRITE, OK),
             (END, b"")],
    "chunks": [(READ, b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
               (READ, b"5\r\nabcde\r\n0\r\n\r\n"), (WRITE, CHUNKED + b"3\r\nabc\r\n"), (END, b""),
               (WRITE_UNSEEN, b"x" * 50), (LAST_CHUNK, b""), (END, b"")],
    "upgrade": [(READ, b"GET /w HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
                (WRITE, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), (END, b""),
                (READ, GET), (WRITE, OK), (END, b"")],
    "foreign": [(READ, b"\x16\x03\x01\x02\x00"), (WRITE, b"\x16\x03\x03"), (END, b""),
                (READ, GET), (READ_UNSEEN, b"x" * 200), (WRITE, OK), (CLOSE, b"")],
}

# What fuzzing has found.
TURNS_FOUND = {
    "a path that was not read": bytes.fromhex(
        "003e504f5300000000004000000000000000476fb46eb474b4b4b47c330000806000000000000000"
        "45acd52b9a55000000ff000024000000000000b4ff000045ac01c8b4ff"),
}

PATTERNS = {
    "names": b"/issue/{n}/edit\n/issue/42/edit\n/issue//edit\n/issue/42\n/issue/42/edit/\n",
    "rest": b"/static/{file...}\n/static/a/b\n/static/\n/static\n/static//a\n/caf\xc3\xa9\n",
    "glob": b"/*a*a*[a-c]?*\\*b\n/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n/[\n/*a*\x00b\n",
}

recordings, corpus, settings = map(pathlib.Path, sys.argv[1:])
shutil.copyfile(settings, corpus / "fuzz_settings" / "alone")
(corpus / "fuzz_settings" / "requests").write_bytes(settings.read_bytes() + b"\0" + REQUESTS)
for path in recordings.glob("*.rec"):
    data = path.read_bytes()
    if len(data) <= 8192:
        shutil.copyfile(path, corpus / "fuzz_recording" / path.stem)
    at = HEADER_BYTES
    for index in range(RECORDS_MAX):
        if at >= len(data):
            break
        size, = struct.unpack_from("=I", data, at)
        (corpus / "fuzz_decode" / f"{path.stem}-{index}").write_bytes(data[at:at + size])
        at += size + 7 & ~7
for name, lines in PATTERNS.items():
    (corpus / "fuzz_patterns" / name).write_bytes(lines)
for name, operations in TURNS.items():
    (corpus / "fuzz_turns" / name).write_bytes(
        b"".join(bytes([kind, len(data)]) + data for kind, data in operations))
for name, data in TURNS_FOUND.items():
    (corpus / "fuzz_turns" / name.replace(" ", "-")).write_bytes(data)
