# SPDX-License-Identifier: BSD-2-Clause
"""An application that knows nothing of the marker: what it answers tells request and worker."""
import os
import time


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/slow"):
        time.sleep(0.5)
    body = ("%s %d" % (path, os.getpid())).encode()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return iter([body[:4], body[4:]])
