# SPDX-License-Identifier: BSD-2-Clause
"""Marks around a WSGI application that the tracer wsgiscope can see.

    from wsgiscope import mark
    application = mark(application)

With no tracer attached a mark calls straight through. Nothing else is imported: this module may be
loaded before gevent or eventlet patch the standard library.
"""

from . import _marker

__all__ = ["mark"]
__version__ = "0.1.0"

_MISSING = object()


def mark(application=_MISSING, *, name=None):
    """The WSGI application, marked; name is shown with each of its requests.

    Also a decorator, of functions, methods and classes: @mark or @mark(name="shop").
    """
    if application is _MISSING:
        return lambda application: _marker.mark(application, name)
    return _marker.mark(application, name)
