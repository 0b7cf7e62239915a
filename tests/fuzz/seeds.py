# SPDX-License-Identifier: BSD-2-Clause
"""seeds.py RECORDINGS CORPUS: each recording, and each record of it by itself, as a seed."""
import pathlib
import shutil
import struct
import sys

HEADER_BYTES = 32  # user/recording_format.h
RECORDS_MAX = 64   # of one recording: the rest would be much the same

recordings, corpus = map(pathlib.Path, sys.argv[1:])
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
