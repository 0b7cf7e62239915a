# SPDX-License-Identifier: BSD-2-Clause
# What `mark` and `unmark` have a running server do, by its interpreter's own interface (remote.h).
# Before it come ACTION, ANSWER (a path) and PACKAGES (a directory or None).
#
# The main thread runs this between two instructions of the server, in a namespace of its own. It
# finds the server's objects on the threads' stacks, imports nothing but the marker, and answers in
# one line. Whatever it cannot do, it says, and leaves all as it is.
import sys

# Module, class, attribute by which its instances call the application at each request.
SERVERS = [
    ("gunicorn.workers.base", "Worker", "wsgi"),
    ("waitress.server", "BaseWSGIServer", "application"),
    ("werkzeug.serving", "BaseWSGIServer", "app"),
    ("wsgiref.simple_server", "WSGIServer", "application"),
    ("cheroot.wsgi", "Server", "wsgi_app"),
    ("gevent.pywsgi", "WSGIServer", "application"),
]
MASTER = ("gunicorn.arbiter", "Arbiter")
SIGTERM = 15


def class_of(module, name):
    return getattr(sys.modules.get(module), name, None)


def selves():
    """Every `self` on a stack, and whom SIGTERM would be handled by: under gevent a worker is on no
    stack while it waits."""
    found = []
    for frame in sys._current_frames().values():
        while frame is not None:
            found.append(frame.f_locals.get("self"))
            frame = frame.f_back
    handler = getattr(sys.modules.get("signal"), "getsignal", lambda number: None)(SIGTERM)
    found.append(getattr(handler, "__self__", None))
    return found


def places(objects):
    """(server, attribute) of each application, once."""
    found = {}
    for module, name, attribute in SERVERS:
        kind = class_of(module, name)
        for server in objects:
            if kind and issubclass(type(server), kind) and getattr(server, attribute, None):
                found[id(server)] = (server, attribute)
    return list(found.values())


def is_mark(application):
    return type(application).__module__ == "wsgiscope._marker"


def marker():
    """The package wsgiscope: this interpreter's own, else the one in PACKAGES."""
    added = [PACKAGES] if PACKAGES else []
    sys.path.extend(added)
    try:
        import wsgiscope
    finally:
        for path in added:
            sys.path.remove(path)
    return wsgiscope


def put_by_us(package):
    """The marks that this script has put, which unmark may take away: no others."""
    return vars(package).setdefault("_remote_marks", [])


def mark_future_workers(package):
    """In gunicorn's master: what its workers will ask for their application. They inherit it."""
    base = class_of("gunicorn.app.base", "BaseApplication")
    original = base.wsgi
    if hasattr(original, "_wsgiscope_original"):
        return False

    def wsgi(self):
        application = original(self)
        if is_mark(application):
            return application
        mark = package.mark(application)
        put_by_us(package).append(mark)
        return mark

    wsgi._wsgiscope_original = original
    base.wsgi = wsgi
    return True


def unmark_future_workers():
    base = class_of("gunicorn.app.base", "BaseApplication")
    original = getattr(base.wsgi, "_wsgiscope_original", None)
    if original:
        base.wsgi = original
    return bool(original)


def mark(found, in_master):
    package = marker()
    done, already = [], []
    for server, attribute in found:
        application = getattr(server, attribute)
        name = type(server).__name__ + "." + attribute
        if is_mark(application):
            already.append(name)
            continue
        put = package.mark(application)
        put_by_us(package).append(put)
        setattr(server, attribute, put)
        done.append(name)
    if in_master:
        (done if mark_future_workers(package) else already).append("the workers to come")
    return answer_of("marked", done, "already marked", already)


def unmark(found, in_master):
    package = sys.modules.get("wsgiscope")
    ours = put_by_us(package) if package else []
    done, others = [], []
    for server, attribute in found:
        application = getattr(server, attribute)
        name = type(server).__name__ + "." + attribute
        if not any(application is put for put in ours):
            others.append(name)
            continue
        setattr(server, attribute, application.__wrapped__)
        ours[:] = [put for put in ours if put is not application]
        done.append(name)
    if in_master:
        (done if unmark_future_workers() else others).append("the workers to come")
    return answer_of("unmarked", done, "not marked by wsgiscope mark", others)


def answer_of(word, done, other_word, others):
    if done:
        return "ok %s %s" % (word, ", ".join(done))
    return "ok %s: %s" % (other_word, ", ".join(others))


def run():
    objects = selves()
    found = places(objects)
    master = class_of(*MASTER)
    in_master = not found and any(master and issubclass(type(one), master) for one in objects)
    if not found and not in_master:
        return "none no server with an application was found in it"
    return (mark if ACTION == "mark" else unmark)(found, in_master)


def main():
    try:
        text = run()
    except Exception as error:
        text = "failed %s: %s" % (type(error).__name__, error)
    try:
        with open(ANSWER, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text.replace("\n", " ")[:480] + "\n")
    except Exception:
        pass  # nobody waits for it any more


main()
