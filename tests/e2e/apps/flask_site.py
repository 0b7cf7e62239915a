# SPDX-License-Identifier: BSD-2-Clause
"""A Flask application that knows nothing of any marker."""
from flask import Flask

app = Flask(__name__)


@app.route("/item/<int:number>")
def item(number):
    return "item %d" % number
