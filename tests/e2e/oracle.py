# SPDX-License-Identifier: BSD-2-Clause
"""The reference: a WSGI middleware in pure Python that logs what an application really did.

It lies INSIDE the mark, next to the application, so that the server still meets the mark's own
result, and appends one JSON line per request (O_APPEND, one write). It hands on untouched what
servers recognise by identity. Imports no test code: it runs in the servers. The reader of its
log, for the tests, is at the end.
"""
import json
import os
import threading
import time

now = time.monotonic_ns


class Entry:
    """One request; written once."""

    def __init__(self, environ, fd):
        self.fd = fd
        self.done = False
        self.last_handed = 0
        self.data = {
            "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
            "method": environ["REQUEST_METHOD"], "pid": os.getpid(),
            "tid": threading.get_native_id(), "status": None, "outcome": "ok",
            "exception": None, "returned": None, "blocks": 0, "bytes": 0, "output_ns": 0,
            "start_ns": now(), "end_ns": None, "end_known": False, "exhausted": False,
        }

    def failed(self, error):
        self.data["outcome"] = "exception"
        self.data["exception"] = type(error).__name__

    def handed(self, data):
        self.data["blocks"] += 1
        self.data["bytes"] += len(data)
        self.last_handed = now()

    def back(self):
        if self.last_handed:
            self.data["output_ns"] += now() - self.last_handed
            self.last_handed = 0

    def write(self, end_known):
        if self.done:
            return
        self.done = True
        self.data["end_ns"] = now()
        self.data["end_known"] = end_known
        os.write(self.fd, json.dumps(self.data).encode() + b"\n")


class Reference:
    """opaque: it lies OUTSIDE the mark and hides what lies inside, so that every request's end
    is seen; the server then meets this middleware's iterator."""

    def __init__(self, application, log, opaque=False):
        self.application = application
        self.opaque = opaque
        self.fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def __call__(self, environ, start_response):
        entry = Entry(environ, self.fd)

        def start(status, headers, exc_info=None):
            args = (status, headers, exc_info) if exc_info else (status, headers)
            try:
                write = start_response(*args)
            finally:
                args = exc_info = None
            entry.data["status"] = int(status[:3])  # what the server has taken

            def counted(data):
                entry.handed(data)
                try:
                    return write(data)
                finally:
                    entry.back()

            return counted if write else write  # a server may have none

        try:
            result = self.application(environ, start)
        except BaseException as error:
            entry.failed(error)
            entry.write(True)
            raise
        entry.data["returned"] = type(result).__name__
        if not self.opaque and self.untouchable(environ, entry, result):
            entry.write(False)
            return result
        return proxy(entry, result, self.opaque)

    @staticmethod
    def untouchable(environ, entry, result):
        """Counts what must be handed on as it is, as far as it can be known beforehand."""
        if type(result) in (list, tuple):
            entry.data["blocks"] += len(result)
            entry.data["bytes"] += sum(map(len, result))
            return True
        if isinstance(result, (bytes, str)):
            entry.data["bytes"] = len(result)
            return True
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type):
            wrapped = isinstance(result, wrapper)
        else:
            wrapped = wrapper is not None and hasattr(result, "read")
        if wrapped:
            entry.data["returned"] = "file_wrapper"
            entry.data["blocks"] = entry.data["bytes"] = entry.data["output_ns"] = None
        return wrapped


class Iterator:
    """Follows an iterable; without close(), as the original was."""

    def __init__(self, entry, result):
        self.entry = entry
        self.result = result
        self.iterator = None

    def __iter__(self):
        return self

    def __next__(self):
        entry = self.entry
        entry.back()
        try:
            if self.iterator is None:
                self.iterator = iter(self.result)
            data = next(self.iterator)
        except StopIteration:
            entry.data["exhausted"] = True
            self.over()
            raise
        except BaseException as error:
            entry.failed(error)
            self.over()
            raise
        entry.handed(data)
        return data

    def over(self):
        self.entry.write(False)

    def __del__(self):
        if not self.entry.done:
            if self.entry.data["outcome"] == "ok":
                self.entry.data["outcome"] = "unclosed"
            self.entry.write(False)


class ClosingIterator(Iterator):
    """The same where the original has close(): there the end is known."""

    def over(self):
        pass

    def close(self):
        self.entry.back()
        if not self.entry.data["exhausted"] and self.entry.data["outcome"] == "ok":
            self.entry.data["outcome"] = "closed early"
        try:
            if hasattr(self.result, "close"):
                self.result.close()
        except BaseException as error:
            self.entry.failed(error)
            raise
        finally:
            self.entry.write(True)


class SizedIterator(Iterator):
    """The same where the original has len()."""

    def __len__(self):
        return len(self.result)


def proxy(entry, result, opaque):
    if opaque or hasattr(result, "close"):
        return ClosingIterator(entry, result)
    if hasattr(result, "__len__"):
        return SizedIterator(entry, result)
    return Iterator(entry, result)


class OracleLog:
    """The tests' side: the entries by the unique id that each request's path ends with."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.entries = {}

    def read(self):
        if os.path.exists(self.path):
            with open(self.path, "rb") as stream:
                stream.seek(self.offset)
                data = stream.read()
            whole = data[:data.rfind(b"\n") + 1]
            self.offset += len(whole)
            for line in whole.splitlines():
                entry = json.loads(line)
                self.entries[entry["path"].rsplit("/", 1)[-1]] = entry
        return self.entries

    def wait(self, uids, seconds=5):
        """The entries of these ids, in order; missing ones are None after the deadline."""
        deadline = time.monotonic() + seconds
        while not all(uid in self.read() for uid in uids) and time.monotonic() < deadline:
            time.sleep(0.01)
        return [self.entries.get(uid) for uid in uids]
