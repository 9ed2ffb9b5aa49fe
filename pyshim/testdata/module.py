"""What an application can see of the module mod_wsgi."""
import importlib.util
import inspect
import json
import logging
import sys
import threading
import types

import mod_wsgi
import wsgid
from mod_wsgi import active_requests, process_group


def answer(environ, start_response, value):
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def attributes(environ, start_response):
    import apache

    names = (
        "FileWrapper LogHandler RequestTimeout active_requests application_group event_callbacks maximum_processes"
        " process_group process_metrics request_data request_metrics server_metrics shutdown_callbacks"
        " signal_callbacks start_recording_metrics subscribe_events subscribe_shutdown subscribe_signals"
        " threads_per_process"
    ).split()
    missing = [name for name in names if not hasattr(mod_wsgi, name)]
    other = [name for name in names if getattr(mod_wsgi, name) is not getattr(wsgid, name)]
    try:
        mod_wsgi.no_such_name
        unknown = True
    except AttributeError:
        unknown = False
    return answer(environ, start_response, {
        "missing": missing,
        "other": other,
        "private": [name for name in wsgid.__all__ if name.startswith("_") or not hasattr(wsgid, name)],
        "public": sorted(set(names) - set(wsgid.__all__)),
        "version": list(mod_wsgi.version),
        "environ_version": list(environ["mod_wsgi.version"]),
        "wsgid_version": wsgid.version,
        "process_group": process_group,
        "application_group": mod_wsgi.application_group,
        "processes": mod_wsgi.maximum_processes,
        "threads": mod_wsgi.threads_per_process,
        "module": isinstance(mod_wsgi, types.ModuleType) and "mod_wsgi" in sys.modules,
        "spec": importlib.util.find_spec("mod_wsgi").name + " " + importlib.util.find_spec("wsgid").name,
        "documented": all(inspect.getdoc(getattr(mod_wsgi, n)) for n in names if callable(getattr(mod_wsgi, n))),
        "file_wrapper": mod_wsgi.FileWrapper is environ["wsgi.file_wrapper"],
        "timeout": [t.__module__ + "." + t.__name__ for t in mod_wsgi.RequestTimeout.__mro__[:2]],
        "handler": issubclass(mod_wsgi.LogHandler, logging.Handler),
        "server_metrics": mod_wsgi.server_metrics(),
        "request_metrics": mod_wsgi.request_metrics(),
        "package": hasattr(mod_wsgi, "__path__"),
        "unknown": unknown,
        "apache": [list(apache.version), apache.description, apache.threads_per_process],
    })


outside = []


def describe(function):
    try:
        return repr(function())
    except BaseException as error:
        return "%s: %s" % (type(error).__name__, error)


outside.append(describe(mod_wsgi.request_data))  # while the script is imported


def data(environ, start_response):
    thread = threading.Thread(target=lambda: outside.append(describe(mod_wsgi.request_data)))
    thread.start()
    thread.join()
    mine = mod_wsgi.request_data()
    before = dict(mine)
    mine["seen"] = True
    return answer(environ, start_response, {
        "before": before,
        "same": mod_wsgi.request_data() is mine and active_requests[environ["mod_wsgi.request_id"]] is mine,
        "outside": outside,
        "active": sorted(active_requests),
        "views": [len(active_requests), list(active_requests.keys()) == list(active_requests),
                  active_requests == dict(active_requests.items()), "no" in active_requests,
                  active_requests.get("no", 7), json.loads(json.dumps(active_requests.copy())) == active_requests,
                  repr(active_requests)],
    })


def public(environ, start_response):
    mod_wsgi.start_recording_metrics()
    return answer(environ, start_response, {
        "names": wsgid.__all__,
        "process": sorted(mod_wsgi.process_metrics()),
        "request": sorted(mod_wsgi.request_metrics()),
    })


def hidden(environ, start_response):
    """mod_wsgi as a package on sys.path: its submodules only."""
    sys.path.append(environ["QUERY_STRING"])
    import mod_wsgi.server

    return answer(environ, start_response, [mod_wsgi.server.NAME, hasattr(mod_wsgi, "SHADOWED"), list(mod_wsgi.version)])


def logs(environ, start_response):
    logger = logging.getLogger("shop.cart")
    logger.setLevel(1)
    logger.propagate = False
    handler = mod_wsgi.LogHandler()
    logger.addHandler(handler)
    sys.stderr = None
    logger.critical("critical %s", "one")
    logger.warning("warning\nof two lines")
    logger.debug("debug")
    thread = threading.Thread(target=logger.info, args=("from a thread",))
    thread.start()
    thread.join()
    try:
        raise KeyError("lost")
    except KeyError:
        logger.exception("with traceback")
    logger.removeHandler(handler)
    return answer(environ, start_response, None)


def timeout(environ, start_response):
    if environ["QUERY_STRING"] == "late":
        start_response("200 OK", [])
        return late()
    raise mod_wsgi.RequestTimeout()


def late():
    yield b"x"
    raise wsgid.RequestTimeout()
