# SPDX-License-Identifier: BSD-2-Clause
"""The application `matrix` where Flask's own server wants a Flask object."""
import flask

from matrix import application

app = flask.Flask(__name__)
app.wsgi_app = application
