import io
import os
import sys
import tempfile

CLOSED = []


class Closing:
    def __init__(self, items, fail=None):
        self.items, self.fail = iter(items), fail

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.items)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self):
        CLOSED.append(1)
        if self.fail:
            raise self.fail


def closed(environ, start_response):
    n = len(CLOSED)
    del CLOSED[:]
    start_response("200 OK", [])
    return [str(n).encode()]


def check(environ, start_response):
    """Calls start_response with what the query says; answers the exception."""
    status, headers = eval(environ["QUERY_STRING"])
    try:
        start_response(status, headers)
    except Exception as e:
        name = type(e).__name__
        start_response("200 OK", [])
        return [name.encode()]
    return [b"accepted"]


def evaluated(environ, start_response):
    """status, headers and result from the query."""
    status, headers, result = eval(environ["QUERY_STRING"])
    start_response(status, headers)
    return result


def closing(environ, start_response):
    items, fail = eval(environ["QUERY_STRING"])
    start_response("200 OK", [])
    return Closing(items, fail)


def not_started(environ, start_response):
    return [b"x"]


def returns_none(environ, start_response):
    start_response("200 OK", [])


def keywords(environ, start_response):
    start_response(status="200 OK", headers=[])
    return []


def raises(environ, start_response):
    raise ValueError("before headers")


def raises_after_start(environ, start_response):
    start_response("200 OK", [])
    raise ValueError("after start_response")


def exits(environ, start_response):
    sys.exit(3)


def raises_later(environ, start_response):
    start_response("200 OK", [("Content-Length", "100")])
    yield b"first"
    raise ValueError("after output")


def raises_first(environ, start_response):
    start_response("200 OK", [])
    yield b""
    raise ValueError("before output")


def twice(environ, start_response):
    start_response("404 Not Found", [("X-First", "1")])
    start_response("200 OK", [("X-Second", "2")])
    return [b"second"]


def twice_after(environ, start_response):
    start_response("200 OK", [])
    yield b"out"
    try:
        start_response("500 no", [])
    except RuntimeError as e:
        yield b" RuntimeError"
    try:
        raise KeyError("inner")
    except KeyError:
        try:
            start_response("500 no", [], sys.exc_info())
        except KeyError:
            yield b" KeyError"


def replaced(environ, start_response):
    start_response("200 OK", [("X-A", "1")])
    try:
        raise KeyError("inner")
    except KeyError:
        start_response("500 replaced", [("X-B", "2")], sys.exc_info())
    return [b"replaced"]


def exc_info_type(environ, start_response):
    try:
        start_response("200 OK", [], "no tuple")
    except RuntimeError:
        start_response("200 OK", [], None)
        return [b"RuntimeError"]
    return [b"accepted"]


def writes(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"a")
    write(b"")
    try:
        write("text")
    except TypeError:
        write(b"T")
    return [b"b", b"c"]


def large(environ, start_response):
    size = int(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(size))])
    return [bytes(bytearray(i * 31 % 251 for i in range(1000))) * (size // 1000 + 1)][:1] if size % 1000 else [
        bytes(bytearray(i * 31 % 251 for i in range(1000))) * (size // 1000)]


def pieces(environ, start_response):
    start_response("200 OK", [])
    for i in range(int(environ["QUERY_STRING"])):
        yield bytes([i % 256]) * (i * 977 % 40000)


def endless(environ, start_response):
    start_response("200 OK", [])
    return Closing(iter(lambda: b"x" * 50000, None))


def endless_write(environ, start_response):
    write = start_response("200 OK", [])
    try:
        while True:
            write(b"x" * 50000)
    except OSError:
        CLOSED.append("oserror")
    return []


def file(environ, start_response):
    f = tempfile.TemporaryFile()
    f.write(b"0123456789" * 20000)
    f.seek(7)
    start_response("200 OK", eval(environ["QUERY_STRING"]))
    return environ["wsgi.file_wrapper"](f, 100)


def pipe(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"in memory"), 4)


def head_count(environ, start_response):
    start_response("200 OK", [("Content-Length", "6")])
    return Closing([b"abc", b"def"])


def wait(environ, start_response):
    import time
    with open(environ["QUERY_STRING"], "w"):
        pass
    while os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    start_response("200 OK", [])
    return [b"waited"]
