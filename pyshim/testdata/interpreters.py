"""What applications of different application groups find and do."""

import atexit
import os
import sys
import threading

import mod_wsgi

atexit.register(sys.stderr.write, "exit of '%s'" % mod_wsgi.application_group)


def ok(start_response, text="ok"):
    start_response("200 OK", [])
    return [str(text).encode()]


def name(environ, start_response):
    return ok(start_response, mod_wsgi.application_group)


def refuser(environ, start_response):
    import refuser

    return ok(start_response, refuser.__name__)


def foreign(environ, start_response):
    import foreign

    return ok(start_response, foreign.call(lambda: "from the thread"))


def wait(environ, start_response):
    import holder

    fd = os.open(environ["QUERY_STRING"], os.O_RDONLY)
    try:
        return ok(start_response, holder.wait(fd))
    finally:
        os.close(fd)


def numpy_warning(environ, start_response):
    import warnings

    warnings.warn("NumPy was imported from a Python sub-interpreter but NumPy does not properly support them")
    return ok(start_response)


def streams(environ, start_response):
    lines = []
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        kind = type(stream)
        try:
            stream.fileno
            said = "usable"
        except OSError as error:
            said = str(error)
        lines.append("%s.%s: %s" % (kind.__module__, kind.__name__, said))
    try:
        print("printed")
    except OSError as error:
        lines.append("print: %s" % error)
    return ok(start_response, "\n".join(lines))


def signals(environ, start_response):
    import signal

    def handler(number, frame):
        pass

    before = signal.getsignal(signal.SIGUSR1)
    try:
        returned = signal.signal(signal.SIGUSR1, handler) is handler
    except ValueError as error:
        returned = error
    same = signal.getsignal(signal.SIGUSR1) == before
    pid = os.fork() if environ["QUERY_STRING"] == "fork" else None
    if pid == 0:
        signal.signal(signal.SIGUSR1, handler)
        os._exit(7 if signal.getsignal(signal.SIGUSR1) is handler else 8)
    child = os.waitpid(pid, 0)[1] >> 8 if pid else None
    return ok(start_response, (returned, same, child))


LOCAL = threading.local()


def counts(environ, start_response):
    """How many requests this thread has served in this interpreter."""
    LOCAL.count = getattr(LOCAL, "count", 0) + 1
    return ok(start_response, LOCAL.count)
