# SPDX-License-Identifier: BSD-2-Clause
"""The demo's application: five pages, each of which spends its time in another way.

Knows nothing of the tracer but mark(), the one line that makes it visible.
"""
import os
import time

import flask

from wsgiscope import mark

app = flask.Flask(__name__)
# Let the server see what a page raises, as it does with frameworks that catch nothing.
app.config["PROPAGATE_EXCEPTIONS"] = True


@app.route("/issue/<int:number>")
def quick(number):
    return f"issue {number}\n"


@app.route("/slow")
def slow():
    time.sleep(0.2)
    return "slow\n"


@app.route("/stream")
def stream():
    return flask.Response((b"x" * 127 + b"\n" for _ in range(2000)), mimetype="text/plain")


@app.route("/file")
def file():
    return flask.send_file(os.environ["DEMO_FILE"], mimetype="application/octet-stream")


@app.route("/broken")
def broken():
    raise RuntimeError("broken on purpose")


application = mark(app, name="demo")
