# SPDX-License-Identifier: BSD-2-Clause
"""Under `wsgiscope run`: the marker around every call of the frameworks' own applications, however
a test comes to it. Does nothing where the hook is not there."""
import sys


def force(hook):
    def around(class_name, method):
        def patch(module):
            kind = getattr(module, class_name)
            setattr(kind, method, hook.marker()(getattr(kind, method), name="forced"))

        return patch

    def client(module):
        """Django's test client calls its handler without start_response. Here a marked application
        stands in between, and the client goes on with what a server would get of it."""
        original = module.ClientHandler.__call__

        def call(self, environ):
            def application(environ, start_response):
                response = original(self, environ)
                start_response("%d %s" % (response.status_code, response.reason_phrase),
                               list(response.items()))
                return response

            return hook.marked(application)(environ, lambda *_: None)

        module.ClientHandler.__call__ = call

    sys.meta_path[0].patches.update({
        "flask.app": around("Flask", "wsgi_app"),
        "django.core.handlers.wsgi": around("WSGIHandler", "__call__"),
        "django.test.client": client,
    })


if "_wsgiscope_hook" in sys.modules:
    force(sys.modules["_wsgiscope_hook"])
