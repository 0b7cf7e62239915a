# SPDX-License-Identifier: BSD-2-Clause
"""An application whose path says what it does, for containers and virtual machines. With SHOP_MARK
it marks itself. Imports no test code: it runs in the server."""
import os
import time


def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def doze(seconds):
    time.sleep(seconds)


def application(environ, start_response):
    way, _, amount = environ["PATH_INFO"].strip("/").partition("/")
    if way == "spin":
        spin(float(amount) / 1000)
    elif way == "doze":
        doze(float(amount) / 1000)
    body = [b"block"] * 3
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "15")])
    return body


if "SHOP_MARK" in os.environ:
    from wsgiscope import mark
    application = mark(application)
