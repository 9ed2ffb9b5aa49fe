import hashlib
import threading

KEPT = []


def answer(start_response, *parts):
    start_response("200 OK", [])
    return [b"|".join(p if isinstance(p, bytes) else repr(p).encode() for p in parts)]


def read(environ, start_response):
    return answer(start_response, environ["wsgi.input"].read())


def digest(environ, start_response):
    h, n, stream = hashlib.sha256(), 0, environ["wsgi.input"]
    while True:
        data = stream.read(100000)
        if not data:
            break
        n += len(data)
        h.update(data)
    return answer(start_response, n, h.hexdigest().encode())


def digest_all(environ, start_response):
    data = environ["wsgi.input"].read()
    return answer(start_response, len(data), hashlib.sha256(data).hexdigest().encode())


def methods(environ, start_response):
    i = environ["wsgi.input"]
    out = [i.read(0), i.read(3), i.readline(), i.readline(2), i.readline(0), i.readline(), i.readlines(1)]
    out += [list(i), i.read(), i.read(5), i.readline(), i.readlines(), i.close()]
    return answer(start_response, *[repr(o).encode() for o in out])


def lines(environ, start_response):
    n = size = 0
    for line in environ["wsgi.input"]:
        n += 1
        size += len(line)
    return answer(start_response, n, size)


def unread(environ, start_response):
    return answer(start_response, b"unread")


def error(environ, start_response):
    i = environ["wsgi.input"]
    out = []
    for call in (lambda: i.read(), lambda: i.read(1), lambda: i.readline()):
        try:
            call()
            out.append(b"no error")
        except OSError as e:
            out.append(str(e).encode())
    return answer(start_response, *out)


def keep(environ, start_response):
    KEPT[:] = [environ["wsgi.input"], environ["wsgi.errors"], start_response, start_response("200 OK", [])]
    return [b"kept"]


def expired(environ, start_response):
    i, e, s, w = KEPT
    out = []
    for call in (lambda: i.read(), lambda: i.readline(), lambda: i.readlines(), lambda: list(i), lambda: next(i),
                 lambda: i.close(), lambda: e.write("x"), lambda: e.flush(), lambda: s("200 OK", []), lambda: w(b"x")):
        try:
            call()
            out.append(b"no error")
        except RuntimeError:
            out.append(b"R")
    return answer(start_response, *out)


def thread_reads(environ, start_response):
    """A thread of the application that is still reading when the request ends."""
    started = threading.Event()

    def run():
        started.set()
        try:
            environ["wsgi.input"].read()
        except (OSError, RuntimeError):
            pass
    threading.Thread(target=run, daemon=True).start()
    started.wait()
    return answer(start_response, b"done")


def bad_arguments(environ, start_response):
    i = environ["wsgi.input"]
    out = []
    for call in (lambda: i.read("x"), lambda: i.read(1, 2), lambda: i.readline(size=1), lambda: i.read(1.5)):
        try:
            call()
            out.append(b"no error")
        except TypeError:
            out.append(b"T")
    return answer(start_response, *out)
