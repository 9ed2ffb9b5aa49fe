"""Answers in the way that PATH_INFO names; the query is a Python expression where it is needed."""

import io
import os
import sys
import tempfile
import time
from urllib.parse import unquote_plus

MARKS = []


def wait_for(gate):
    """Until the file has content: the client has seen what came before."""
    deadline = time.monotonic() + 60
    while not os.path.getsize(gate):
        if time.monotonic() > deadline:
            raise RuntimeError("nobody opened the gate")
        time.sleep(0.005)


def query(environ):
    return unquote_plus(environ["QUERY_STRING"])


def marks(environ, start_response):
    text = " ".join(MARKS)
    del MARKS[:]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode("ascii")]


def check(environ, start_response):
    """start_response(*query): the name of the exception, or "accepted"."""
    try:
        start_response(*eval(query(environ)))
    except Exception as error:
        name = type(error).__name__
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [name.encode("ascii")]
    return [b"accepted"]


def respond(environ, start_response):
    """status, headers, result = query"""
    status, headers, result = eval(query(environ))
    start_response(status, headers)
    return result


def interleaved(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"w1 ")
    write(b"w2 ")

    def body():
        yield b"i1 "
        write(b"w3 ")
        yield b"i2 "
    return body()


def replaced(environ, start_response):
    start_response("200 OK", [("X-First", "1")])
    try:
        raise ValueError("changed its mind")
    except ValueError:
        start_response("503 Replaced", [("X-Second", "2"), ("Content-Type", "text/plain")], sys.exc_info())
    return [b"replaced"]


def late_exc_info(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    wait_for(query(environ))
    try:
        raise ValueError("too late to change")
    except ValueError:
        try:
            start_response("500 Late", [], sys.exc_info())
        except ValueError as error:
            MARKS.append("raised:" + str(error).replace(" ", "-"))
            raise


def twice(environ, start_response):
    start_response("404 Not Found", [("X-First", "1")])
    write = start_response("202 Accepted", [("X-Second", "2"), ("Content-Type", "text/plain")])
    write(b"second ")
    try:
        start_response("500 Third", [])
    except RuntimeError:
        write(b"RuntimeError")
    return []


class Closing:
    def __init__(self, items):
        self.items = iter(items)

    def __iter__(self):
        return self.items

    def close(self):
        MARKS.append("close")


def closing(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing([b"a", b"b"])


def generator(environ, start_response):
    how = query(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        if how == "raise":
            raise ValueError("raised first")
        yield "text" if how == "text" else b"body"
    except GeneratorExit:
        MARKS.append("GeneratorExit")
        raise
    finally:
        MARKS.append("finally")


def late(environ, start_response):
    how, gate = query(environ).split("&")
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    wait_for(gate)
    if how == "raise":
        raise ValueError("raised after output")
    yield "text"


def raises(environ, start_response):
    how = query(environ)
    if how == "exit":
        sys.exit(3)
    if how == "timeout":
        import mod_wsgi
        raise mod_wsgi.RequestTimeout("by hand")
    raise ValueError("raised before output")


def file(environ, start_response):
    """how, length: a file of 300000 bytes."""
    how, length = eval(query(environ))
    content = bytes(bytearray(i % 251 for i in range(1000))) * 300
    headers = [("Content-Type", "application/octet-stream")]
    if length is not None:
        headers.append(("Content-Length", str(length)))
    start_response("200 OK", headers)
    if how == "memory":
        return environ["wsgi.file_wrapper"](io.BytesIO(content))
    f = tempfile.TemporaryFile()
    f.write(content)
    f.seek(7 if how == "offset" else 0)
    return environ["wsgi.file_wrapper"](f)


def method(environ, start_response):
    start_response("200 OK", [("X-Method", environ["REQUEST_METHOD"]), ("Content-Length", "6")])
    return [b"method"]


def application(environ, start_response):
    return globals()[environ["PATH_INFO"].strip("/")](environ, start_response)
