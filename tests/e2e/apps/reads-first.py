# SPDX-License-Identifier: BSD-2-Clause
"""Something around the marked application that reads from a socket of its own before each call: a
session's store, a token's issuer."""
import socket

from matrix import application as inner


def application(environ, start_response):
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"who is it")
        other.recv(100)
        return inner(environ, start_response)
