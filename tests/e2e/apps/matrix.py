# SPDX-License-Identifier: BSD-2-Clause
"""One application that answers in every way a WSGI application can.

The path says how: /WAY/COUNT/SIZE/UID. Bodies are deterministic, so that two servers can be
compared byte by byte. Environment: E2E_APP chooses how `application` is wrapped (see `wrap`),
E2E_ORACLE names the oracle's log, E2E_FILE a file of at least 2.5 MB to send.
"""
import errno
import io
import os
import sys
import time

PAUSE_S = 0.05
STREAM_PAUSE_S = 0.004


class Boom(Exception):
    """What the failing ways raise."""


def block(index, size):
    return bytes([65 + index % 26]) * size


def blocks(count, size):
    return [block(index, size) for index in range(count)]


def start(start_response, status="200 OK", length=None, exc_info=None):
    headers = [("Content-Type", "text/plain"), ("X-Way", "matrix")]
    if length is not None:
        headers.append(("Content-Length", str(length)))
    if exc_info:
        return start_response(status, headers, exc_info)
    return start_response(status, headers)


class Closing:
    """An iterator with close()."""

    def __init__(self, items, error_in_close=None):
        self.items = iter(items)
        self.error_in_close = error_in_close

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        if self.error_in_close:
            raise self.error_in_close


class Bare:
    """An iterator without close()."""

    def __init__(self, items):
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)


class Sized:
    """Not a list, but it has a length: servers derive Content-Length from len() == 1."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __iter__(self):
        return iter(self.items)


class Readable:
    """Only read(): what a file wrapper gets when it is no real file. Its close() is counted."""

    def __init__(self, data):
        self.stream = io.BytesIO(data)

    def read(self, size=-1):
        return self.stream.read(size)

    def close(self):
        self.stream.close()


def way_list(environ, start_response, count, size):
    start(start_response, length=count * size)
    return blocks(count, size)


def way_chunks(environ, start_response, count, size):
    """A list without Content-Length: chunked or close-delimited."""
    start(start_response)
    return blocks(count, size)


def way_tuple(environ, start_response, count, size):
    start(start_response, length=count * size)
    return tuple(blocks(count, size))


def way_sized(environ, start_response, count, size):
    start(start_response)
    return Sized(blocks(count, size))


def way_gen(environ, start_response, count, size):
    start(start_response)
    return (block(index, size) for index in range(count))


def way_closing(environ, start_response, count, size):
    start(start_response)
    return Closing(blocks(count, size))


def way_bare(environ, start_response, count, size):
    start(start_response)
    return Bare(blocks(count, size))


def way_write(environ, start_response, count, size):
    write = start(start_response)
    for data in blocks(count, size):
        write(data)
    return []


def way_write_gen(environ, start_response, count, size):
    write = start(start_response)
    write(b"written")
    return way_rest(count, size)


def way_rest(count, size):
    yield from blocks(count, size)


def way_blank(environ, start_response, count, size):
    start(start_response, length=0)
    return [b""]


def way_nothing(environ, start_response, count, size):
    start(start_response, length=0)
    return []


def way_gen_nothing(environ, start_response, count, size):
    start(start_response, length=0)
    return way_rest(0, 0)


def way_gen_blank(environ, start_response, count, size):
    start(start_response)
    yield b""
    yield from blocks(count, size)


def way_not_found(environ, start_response, count, size):
    start(start_response, "404 Not Found", length=size)
    return [block(0, size)]


def way_raise_call(environ, start_response, count, size):
    raise Boom("in the call")


def way_raise_started(environ, start_response, count, size):
    start(start_response)
    raise Boom("in the call, after start_response")


def way_raise_first(environ, start_response, count, size):
    start(start_response)
    return way_broken(0, size)


def way_raise_later(environ, start_response, count, size):
    start(start_response)
    return way_broken(count, size)


def way_broken(count, size):
    yield from blocks(count, size)
    raise Boom("in the iteration")


def way_raise_close(environ, start_response, count, size):
    start(start_response, length=count * size)
    return Closing(blocks(count, size), Boom("in close"))


def way_late(environ, start_response, count, size):
    """start_response is called with the first next()."""
    start(start_response)
    yield from blocks(count, size)


def way_twice(environ, start_response, count, size):
    """A page that fails before its first byte and is replaced by an error page."""
    start(start_response)
    try:
        raise Boom("replaced by a page")
    except Boom:
        start(start_response, "500 Oops", length=size, exc_info=sys.exc_info())
    return [block(0, size)]


def way_bytes(environ, start_response, count, size):
    start(start_response)
    return block(0, size)


def way_str(environ, start_response, count, size):
    start(start_response)
    return "s" * size


def way_file(environ, start_response, count, size):
    start(start_response, length=os.stat(os.environ["E2E_FILE"]).st_size)
    return file_wrapper(environ, open(os.environ["E2E_FILE"], "rb"))


def way_file_read(environ, start_response, count, size):
    start(start_response)
    return file_wrapper(environ, Readable(b"".join(blocks(count, size))))


def file_wrapper(environ, stream):
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper:
        return wrapper(stream, 8192)
    return iter(lambda: stream.read(8192), b"")


def way_file_blocks(environ, start_response, count, size):
    """The file in blocks of `size`, without the server's wrapper."""
    start(start_response, length=os.stat(os.environ["E2E_FILE"]).st_size)
    return way_file_pieces(size)


def way_file_pieces(size):
    with open(os.environ["E2E_FILE"], "rb") as stream:
        while data := stream.read(size):
            yield data


def way_slow(environ, start_response, count, size):
    time.sleep(PAUSE_S)
    start(start_response, length=count * size)
    return blocks(count, size)


def way_stream(environ, start_response, count, size):
    start(start_response)
    for data in blocks(count, size):
        time.sleep(STREAM_PAUSE_S)
        yield data


def way_hang(environ, start_response, count, size):
    """One block, then nothing until the worker is killed (or a minute is over)."""
    start(start_response)
    yield block(0, size)
    time.sleep(60)


def way_exec(environ, start_response, count, size):
    """One block, then the worker becomes another program."""
    start(start_response)
    yield block(0, size)
    os.execv("/bin/true", ["true"])


def way_memory(environ, start_response, count, size):
    """One block, then all the memory that there is."""
    start(start_response)
    yield block(0, size)
    taken = []
    while True:
        taken.append(b"x" * (1 << 20))


def way_descriptors(environ, start_response, count, size):
    """Takes every descriptor that the worker may still have, and answers all the same."""
    start(start_response)
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    try:
        yield from blocks(count, size)
    finally:
        for descriptor in taken:
            os.close(descriptor)


def way_no_content(environ, start_response, count, size):
    start(start_response, "204 No Content")
    return []


def way_not_modified(environ, start_response, count, size):
    start(start_response, "304 Not Modified")
    return []


def way_upgrade(environ, start_response, count, size):
    """Another protocol, in which the application says something at once."""
    start_response("101 Switching Protocols", [("Upgrade", "e2e"), ("Connection", "upgrade")])
    return [b"HTTP/1.1 200 Not a response\r\n\r\n"]


def way_raw(environ, start_response, count, size):
    """gunicorn only: the bytes that X-Raw has in hexadecimal, past the server, which then takes
    the client for gone."""
    environ["gunicorn.socket"].sendall(bytes.fromhex(environ["HTTP_X_RAW"]))
    raise BrokenPipeError(errno.EPIPE, "all was written")


def way_echo(environ, start_response, count, size):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start(start_response, length=len(body))
    return [body]


class Routed:
    """What Bottle leaves in the environ."""

    rule = "/routed/<count>/<size>/<uid>"


def way_routed(environ, start_response, count, size):
    environ["bottle.route"] = Routed()
    return way_list(environ, start_response, count, size)


def way_pid(environ, start_response, count, size):
    """Which worker answers."""
    body = b"%d" % os.getpid()
    start(start_response, length=len(body))
    return [body]


WAYS = {name[4:]: function for name, function in list(globals().items())
        if name.startswith("way_") and function.__code__.co_varnames[:1] == ("environ",)}


def plain(environ, start_response):
    _, way, count, size, *_ = environ["PATH_INFO"].split("/") + ["0", "0", "0"]
    if way not in WAYS:
        start(start_response, "404 Not Found", length=0)
        return []
    return WAYS[way](environ, start_response, int(count), int(size))


def wrap(variant):
    """plain: unmarked. marked: as a user would. oracle: the reference middleware inside the mark,
    which sees what the application did. oracle-only: the same without the mark. outer: outside,
    which sees what the server saw."""
    if variant == "plain":
        return plain
    from oracle import Reference
    if variant == "oracle-only":
        return Reference(plain, os.environ["E2E_ORACLE"])
    from wsgiscope import mark
    if variant == "marked":
        return mark(plain)
    if variant == "validated":
        from wsgiref.validate import validator
        return validator(mark(validator(plain)))
    if variant == "oracle":
        return mark(Reference(plain, os.environ["E2E_ORACLE"]))
    if variant == "outer":
        return Reference(mark(plain), os.environ["E2E_ORACLE"], opaque=True)
    raise ValueError("E2E_APP=" + variant)


application = wrap(os.environ.get("E2E_APP", "plain"))
