# SPDX-License-Identifier: BSD-2-Clause
"""Applications that answer with a given iterable, and iterables of every kind."""

import types

from miniserver import make_environ
from wsgiscope import mark


def answering(answer):
    """An application that answers with what answer is, or makes, if it is a function."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return answer() if isinstance(answer, types.FunctionType) else answer

    return mark(app)


def call(app):
    """The answer as the server gets it."""
    return app(make_environ(), lambda status, headers, exc_info=None: None)


class Iterable:
    """Iterable, no iterator, no close(), no length."""

    def __init__(self, blocks):
        self.blocks = blocks

    def __iter__(self):
        return iter(self.blocks)


class Closing(Iterable):
    closed = 0

    def close(self):
        self.closed += 1


class Sized(Iterable):
    def __len__(self):
        return len(self.blocks)


class Iterator:
    def __init__(self, blocks):
        self.blocks = list(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        if not self.blocks:
            raise StopIteration
        return self.blocks.pop(0)


class Sequence:
    """The old protocol: __getitem__ only."""

    def __init__(self, blocks):
        self.blocks = blocks

    def __getitem__(self, i):
        return self.blocks[i]


BLOCKS = [b"a", b"", b"ccc", b"dd"]
