"""What no application should do and some do."""
import atexit
import logging
import os
import sys
import threading
import time

KEPT = []


def ok(start_response, *parts):
    start_response("200 OK", [])
    return [b"|".join(str(p).encode() for p in parts)]


def outcome(call):
    try:
        call()
        return "none"
    except BaseException as e:
        return type(e).__name__


def fake_exc_info(environ, start_response):
    write = start_response("200 OK", [])
    write(b"out ")
    out = []
    for info in (("a", "b", "c"), (ValueError, "b", None), (None, None, None), (int, 3, 4),
                 (ValueError, ValueError("x"), "no traceback"), (1, 2)):
        out.append(outcome(lambda: start_response("500 x", [], info)))
    return [" ".join(out).encode()]


def writes_in_thread(environ, start_response):
    """A thread still writes when the request is over; it finishes first."""
    write = start_response("200 OK", [])
    started = threading.Event()

    def run():
        try:
            for _ in range(200):
                write(b"t" * 70000)
                started.set()
        except (OSError, RuntimeError):
            started.set()
    thread = threading.Thread(target=run, daemon=True)
    KEPT.append(thread)
    thread.start()
    started.wait()
    return [b"m" * 50000 for _ in range(20)]


def logs_in_thread(environ, start_response):
    errors = environ["wsgi.errors"]

    def run():
        try:
            while True:
                errors.write("y" * 9000 + "\n")
        except RuntimeError:
            pass
    for _ in range(3):
        threading.Thread(target=run, daemon=True).start()
    time.sleep(0.002)
    return ok(start_response, "logged")


class Late:
    """close() writes after the failure was answered."""

    def __init__(self, start_response):
        self.start_response = start_response
        self.write = start_response("200 OK", [])

    def __iter__(self):
        raise ValueError("no items")

    def close(self):
        KEPT[:] = [outcome(lambda: self.write(b"late")), outcome(lambda: self.start_response("200 OK", []))]


def late_close(environ, start_response):
    return Late(start_response)


def kept(environ, start_response):
    return ok(start_response, *KEPT)


class Broken(Exception):
    def __str__(self):
        raise SystemExit("str")
    __repr__ = __str__


class BrokenDel:
    def __del__(self):
        raise KeyboardInterrupt("del")


def raises(environ, start_response):
    environ["x"] = BrokenDel()
    what = environ["QUERY_STRING"]
    if what == "recursion":
        def deep(n):
            return deep(n + 1)
        deep(0)
    raise {"broken": Broken(), "exit": SystemExit(7), "interrupt": KeyboardInterrupt(),
           "memory": MemoryError(),
           "generator": GeneratorExit(), "base": BaseException("base")}[what]


def generator(environ, start_response):
    """Ignores its own end."""
    start_response("200 OK", [])
    try:
        yield b"a"
        raise BaseException("in the middle") if environ["QUERY_STRING"] else StopIteration
    finally:
        raise KeyError("in finally")


class Results(list):
    pass


class Piece(bytes):
    pass


class LateStart:
    def __init__(self, start_response):
        self.start_response = start_response

    def __iter__(self):
        self.start_response("200 OK", [])
        return iter([b"late start"])


def result(environ, start_response):
    what = environ["QUERY_STRING"]
    if what == "late":
        return LateStart(start_response)
    start_response("200 OK", [])
    return {"list": Results([b"a", b"b"]), "piece": [Piece(b"piece")], "str": "text", "strs": ["text"], "bytes": b"text",
            "array": [bytearray(b"x")], "dict": {b"key": 1}, "int": 5}[what]


def grows(environ, start_response):
    """The list changes while it is sent."""
    start_response("200 OK", [])
    items = [b"x" * 100000] * 30
    threading.Thread(target=items.clear).start()
    return items


def own_types(environ, start_response):
    """Objects of our types that the server did not make."""
    i, e = type(environ["wsgi.input"])(), type(environ["wsgi.errors"].buffer)()
    out = [outcome(i.read), outcome(i.close), outcome(lambda: next(i)), outcome(lambda: e.write(b"stray\n")),
           outcome(lambda: e._record("x", "y")), outcome(lambda: e._record(30, "stray record")), outcome(lambda: e._record(30))]
    return ok(start_response, *out)


def mutates(environ, start_response):
    """Reaches for the server's own copy of environ."""
    import gc
    for d in gc.get_referrers(environ["wsgi.file_wrapper"]):
        if type(d) is dict and "wsgi.version" in d and d is not environ:
            d.clear()
    environ.clear()
    return ok(start_response, "cleared")


def fork_falls_out(environ, start_response):
    """A child of a fork while other threads read and write the same request."""
    write = start_response("200 OK", [])
    stream = environ["wsgi.input"]

    def read():
        try:
            stream.read()
        except (OSError, RuntimeError):
            pass
    threading.Thread(target=read, daemon=True).start()
    time.sleep(0.01)
    pid = os.fork()
    if pid == 0:
        print("child prints")
        return [b"child"]
    status = os.waitpid(pid, 0)[1]
    write(b"parent %d" % status)
    return []


def logging_levels(environ, start_response):
    logger = logging.getLogger("levels")
    logger.propagate = False
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    logger.setLevel(1)
    for level in (5, 10, 20, 30, 40, 50):
        logger.log(level, "level %d\nsecond line", level)
    logger.removeHandler(handler)
    handler = logging.StreamHandler(environ["wsgi.errors"])
    logger.addHandler(handler)
    logger.warning("to wsgi.errors \ud800")
    logger.removeHandler(handler)
    sys.stderr.write("unfinished")
    logging.lastResort.handle(logger.makeRecord("x", 30, "f", 1, "last resort", (), None))
    logger.propagate = True
    return ok(start_response, "ok")


def daemon_threads(environ, start_response):
    def run():
        while True:
            print("daemon")
            time.sleep(0.0005)
    for _ in range(3):
        threading.Thread(target=run, daemon=True).start()
    atexit.register(sys.exit, 3)
    atexit.register(print, "exit function ran in", environ["mod_wsgi.application_group"] or "main")
    return ok(start_response, "started")


def callback(environ, start_response):
    """C code that calls Python back takes the GIL by PyGILState_Ensure."""
    import ctypes
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    calls = []
    compare = kind(lambda a, b: calls.append(1) or 0)
    array = (ctypes.c_int * 8)(*range(8))
    ctypes.CDLL(None).qsort(array, 8, 4, compare)
    return ok(start_response, bool(calls))


def reload_required(resource):
    sys.exit(9)


def application(environ, start_response):
    return ok(start_response, "ran")
