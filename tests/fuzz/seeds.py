# SPDX-License-Identifier: BSD-2-Clause
"""seeds.py RECORDINGS CORPUS SETTINGS: each recording, each record of it by itself, and the
settings, alone and with requests behind them, as seeds."""
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
