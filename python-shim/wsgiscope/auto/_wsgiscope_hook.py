# SPDX-License-Identifier: BSD-2-Clause
"""Marks the WSGI application that a server is given, whatever it is, with no code edited.

Each server takes its application in one place (SERVERS), which is wrapped when the server's module
is loaded; nothing is imported that the process would not import itself, but the marker, and that
only then. uWSGI and mod_wsgi take theirs in C, out of the namespace of a module: there it is marked
as soon as the module's code has run.

Nothing here may keep a server from running: what fails is said in one line on stderr, and the
application goes on unmarked.
"""
import sys

PACKAGES = __file__.rsplit("/", 3)[0]  # where the package wsgiscope lies

RESULT = None
# Module: (class or None, function, position of the application among its arguments or RESULT where
# it returns it, name of that argument).
SERVERS = {
    "cheroot.wsgi": ("Server", "__init__", 2, "wsgi_app"),
    "eventlet.wsgi": (None, "server", 1, "site"),
    "gevent.pywsgi": ("WSGIServer", "__init__", 2, "application"),
    "gunicorn.app.base": ("BaseApplication", "wsgi", RESULT, None),
    "tornado.wsgi": ("WSGIContainer", "__init__", 1, "wsgi_application"),
    "twisted.web.wsgi": ("WSGIResource", "__init__", 3, "application"),
    "waitress.server": ("BaseWSGIServer", "__init__", 1, "application"),
    "werkzeug.serving": ("BaseWSGIServer", "__init__", 3, "app"),
    "wsgiref.simple_server": ("WSGIServer", "set_app", 1, "application"),
}

CO_COROUTINE, CO_ASYNC_GENERATOR = 0x80, 0x200

_said = set()
_mark = []  # wsgiscope.mark, once it has been asked for; None: it cannot be had


def say(text):
    """One line on stderr, once a process."""
    if text in _said:
        return
    _said.add(text)
    try:
        sys.stderr.write("wsgiscope: %s\n" % text)
        sys.stderr.flush()
    except Exception:
        pass  # there is no stderr: nobody to tell


def failed(what, error):
    say("%s: %s: %s; the application is not marked" % (what, type(error).__name__, error))


def marker():
    """wsgiscope.mark of this interpreter's own installation, else of the one beside this file."""
    if not _mark:
        _mark.append(None)
        sys.path.append(PACKAGES)
        try:
            from wsgiscope import mark

            _mark[0] = mark
        except Exception as error:
            failed("no marker for Python %d.%d" % sys.version_info[:2], error)
        finally:
            sys.path.remove(PACKAGES)
    return _mark[0]


def is_asynchronous(application):
    """An ASGI application: some servers take both, and tell by what the callable is."""
    function = application
    if not isinstance(application, type(marker)):
        function = getattr(type(application), "__call__", None)
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and bool(code.co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR))


def marked(application):
    """The application, marked if it is one and has no mark around it yet."""
    try:
        if (not callable(application) or type(application).__module__ == "wsgiscope._marker"
                or is_asynchronous(application)):
            return application
        mark = marker()
        return mark(application) if mark else application
    except Exception as error:
        failed("marking", error)
        return application


def imitate(wrapper, original):
    """What functools.wraps() would do, without importing it."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        if hasattr(original, name):
            setattr(wrapper, name, getattr(original, name))
    vars(wrapper).update(getattr(original, "__dict__", {}))
    wrapper.__wrapped__ = original
    return wrapper


def with_marked_result(original):
    def wrapper(*args, **kwargs):
        return marked(original(*args, **kwargs))

    return imitate(wrapper, original)


def with_marked_argument(original, position, name):
    def wrapper(*args, **kwargs):
        if len(args) > position:
            args = args[:position] + (marked(args[position]),) + args[position + 1:]
        elif name in kwargs:
            kwargs[name] = marked(kwargs[name])
        return original(*args, **kwargs)

    return imitate(wrapper, original)


def patch_server(module):
    """The marker is loaded here, in a master, long before its workers serve: a tracer puts its
    probes onto it as soon as it is there."""
    marker()
    owner_name, function, position, argument = SERVERS[module.__name__]
    owner = getattr(module, owner_name) if owner_name else module
    original = getattr(owner, function)
    if position is RESULT:
        setattr(owner, function, with_marked_result(original))
    else:
        setattr(owner, function, with_marked_argument(original, position, argument))


class Finder:
    """On sys.meta_path before all others: patches some modules, by name, once they are loaded."""

    def __init__(self, patches):
        self.patches = patches
        self.uwsgi_told = False

    def find_spec(self, name, path=None, target=None):
        if not self.uwsgi_told and "uwsgi" in sys.modules:
            self.uwsgi_told = self.learn_uwsgi()
        patch = self.patches.get(name)
        return self.patched_spec(name, path, target, patch) if patch else None

    def learn_uwsgi(self):
        """uWSGI makes its module `uwsgi` after site, before it imports what it is told to."""
        try:
            for module, names in uwsgi_modules(uwsgi_options()).items():
                self.patches[module] = lambda module, names=names: mark_names(vars(module), names)
        except Exception as error:
            failed("uWSGI's options", error)
        return hasattr(sys.modules["uwsgi"], "opt")

    def patched_spec(self, name, path, target, patch):
        """What the other finders find, with the loader told to patch; None: let them."""
        try:
            for finder in sys.meta_path:
                find = None if finder is self else getattr(finder, "find_spec", None)
                spec = find(name, path, target) if find else None
                if spec is not None:
                    patch_after_load(name, spec.loader, patch)
                    return spec
        except Exception as error:
            failed(name, error)
        return None


def patch_after_load(name, loader, patch):
    """Hides loader.exec_module() behind one that takes itself away. A loader may be another
    module's as well, as those of zip files are."""
    load = loader.exec_module

    def exec_module(module):
        ours = module.__name__ == name
        if ours:
            vars(loader).pop("exec_module", None)
        load(module)
        if ours:
            try:
                patch(module)
            except Exception as error:
                failed(name, error)

    if isinstance(loader, type):
        raise TypeError("its loader cannot be told")
    loader.exec_module = exec_module


def mark_names(namespace, names):
    """Marks what a module calls so; NAME() is a function that returns an application."""
    for name in names:
        factory = name.endswith("()")
        name = name[:-2] if factory else name
        if callable(namespace.get(name)):
            namespace[name] = (with_marked_result if factory else marked)(namespace[name])


def when_executed(namespace, act):
    """Calls act() when the module's code that is about to run in the namespace has run. For what C
    runs by PyImport_ExecCodeModule(), where Python has no other way to learn of its end."""
    if hasattr(sys, "monitoring"):
        watch_by_monitoring(namespace, act)
    else:
        watch_by_trace(namespace, act)


def watch_by_monitoring(namespace, act):
    monitoring = sys.monitoring
    events = monitoring.events
    tool = next(number for number in (4, 3, 5) if monitoring.get_tool(number) is None)
    watched = []

    def end():
        for code in watched:
            monitoring.set_local_events(tool, code, 0)
        monitoring.set_events(tool, 0)
        for event in (events.PY_START, events.PY_RETURN, events.PY_UNWIND):
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)

    def started(code, offset):
        if sys._getframe(1).f_globals is namespace and not watched:
            watched.append(code)
            monitoring.set_events(tool, events.PY_UNWIND)
            monitoring.set_local_events(tool, code, events.PY_RETURN)

    def returned(code, offset, value):
        end()
        act()

    def unwound(code, offset, exception):
        if code in watched:
            end()

    monitoring.use_tool_id(tool, "wsgiscope")
    monitoring.register_callback(tool, events.PY_START, started)
    monitoring.register_callback(tool, events.PY_RETURN, returned)
    monitoring.register_callback(tool, events.PY_UNWIND, unwound)
    monitoring.set_events(tool, events.PY_START)


def watch_by_trace(namespace, act):
    """Before 3.12. What the code calls is not traced, but each call is asked about."""
    if sys.gettrace() is not None:
        raise RuntimeError("another trace function is set")

    def returned(frame, event, value):
        if event == "return":
            sys.settrace(None)
            act()
        return returned

    def called(frame, event, value):
        if frame.f_globals is not namespace or frame.f_code.co_name != "<module>":
            return None
        frame.f_trace_lines = False
        return returned

    sys.settrace(called)


def uwsgi_options():
    """{option: [value]} of the uWSGI that this process is; empty: it is none."""
    options = {}
    for name, values in getattr(sys.modules.get("uwsgi"), "opt", {}).items():
        values = values if isinstance(values, list) else [values]
        options[name] = [value.decode() for value in values if isinstance(value, bytes)]
    return options


def uwsgi_callable(options):
    return options.get("callable", ["application"])[-1]


def uwsgi_modules(options):
    """{module: {name of an application or factory}} that uWSGI has been told to load."""
    found = {}
    mounted = [value.rpartition("=")[2] for value in options.get("mount", [])]
    for value in options.get("module", []) + options.get("wsgi", []) + mounted:
        module, _, name = value.partition(":")
        if not module.endswith((".py", ".wsgi", ".ini")):
            found.setdefault(module, set()).add(name or uwsgi_callable(options))
    return found


def embedded_act(namespace, name):
    """What to do once the code of a module that an embedder runs has run; None: nothing."""
    if name.startswith("uwsgi_file_"):
        return lambda: mark_names(namespace, [uwsgi_callable(uwsgi_options())])
    if name.startswith("_mod_wsgi_"):
        return lambda: mark_mod_wsgi(namespace)
    return None


def mark_mod_wsgi(namespace):
    """Its callable's name is not told to Python. Where it is another one, mod_wsgi's own events say
    at each request what is about to be called, and take what is to be called instead."""
    if callable(namespace.get("application")):
        mark_names(namespace, ["application"])
        return
    import mod_wsgi

    if request_started not in mod_wsgi.event_callbacks:
        mod_wsgi.subscribe_events(request_started)


def request_started(name, **event):
    if name != "request_started":
        return None
    return {"application_object": marked(event["application_object"])}


def watch_embedders():
    """PyImport_ExecCodeModule() calls this one function of importlib before it runs the code, and
    nobody else does. It is CPython's own matter: where it is not as expected, nothing is done."""
    external = sys.modules["_frozen_importlib_external"]
    original = getattr(external, "_fix_up_module", None)
    if original is None:
        return

    def fix_up_module(namespace, name, *rest):
        result = original(namespace, name, *rest)
        try:
            act = embedded_act(namespace, name)
            if act:
                when_executed(namespace, guarded(name, act))
        except Exception as error:
            failed(name, error)
        return result

    external._fix_up_module = imitate(fix_up_module, original)


def guarded(name, act):
    def guard():
        try:
            act()
        except Exception as error:
            failed(name, error)

    return guard


def install():
    sys.meta_path.insert(0, Finder(dict.fromkeys(SERVERS, patch_server)))
    watch_embedders()
    for name in SERVERS:  # a .pth file may have loaded one
        if name in sys.modules:
            patch_server(sys.modules[name])
