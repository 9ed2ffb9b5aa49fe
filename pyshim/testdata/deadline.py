"""Requests that take too long, each in its way. ?PATH is what it waits for or writes."""

import functools
import os
import time

import mod_wsgi


def _reply(start_response, text="done"):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


def quick(environ, start_response):
    return _reply(start_response, sum(range(1000)) and "quick")


def _spin():
    while True:
        pass


def busy(environ, start_response):
    _spin()


def reraises(environ, start_response):
    try:
        _spin()
    except BaseException:
        raise


def stubborn(environ, start_response):
    """Goes on until it was interrupted three times."""
    times = 0
    while times < 3:
        try:
            _spin()
        except mod_wsgi.RequestTimeout:
            times += 1
    return _reply(start_response, "interrupted %d times" % times)


def never(environ, start_response):
    """Goes on whatever comes."""
    while True:
        try:
            _spin()
        except BaseException:
            pass


def streams(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"beginning"
    _spin()


def reads(environ, start_response):
    """Waits in C and ends in C: no bytecode is left in which the exception could come out."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter(functools.partial(os.read, os.open(environ["QUERY_STRING"], os.O_RDONLY), 100), b"")


def sleeps(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    return _reply(start_response)


def waits(environ, start_response):
    """Until somebody makes the file."""
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    return _reply(start_response)


def keeps_gil(environ, start_response):
    """In C, with the GIL held, until somebody writes to the fifo."""
    import ctypes  # not for every interpreter

    os.close(ctypes.PyDLL(None).open(environ["QUERY_STRING"].encode(), os.O_RDONLY))
    return _reply(start_response)


def file(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](open(environ["QUERY_STRING"], "rb"))


def works(environ, start_response):
    """Computes for so many seconds."""
    end = time.monotonic() + float(environ["QUERY_STRING"])
    while time.monotonic() < end:
        pass
    return _reply(start_response)
