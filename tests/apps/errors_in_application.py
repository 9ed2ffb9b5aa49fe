"""Goes wrong as PATH_INFO says: before the headers, after them, or against PEP 3333."""

import sys


def application(environ, start_response):
    how = environ["PATH_INFO"].strip("/")
    if how == "raise":
        raise ValueError("raised before the headers")
    if how == "exit":
        sys.exit(3)
    if how == "none":
        start_response("200 OK", [])
        return None
    if how == "text":
        start_response("200 OK", [])
        return ["text instead of bytes"]
    if how == "no-start":
        return [b"never started"]
    if how == "bad-status":
        start_response("2000 OK", [])
        return [b"x"]
    if how == "bad-header":
        start_response("200 OK", [("X-Split", "a\r\nX-Injected: b")])
        return [b"x"]
    if how == "exc-info":
        try:
            start_response("200 OK", [("X-First", "1")])
            raise KeyError("changed its mind")
        except KeyError:
            start_response("503 Service Unavailable", [("X-Second", "2")], sys.exc_info())
            return [b"replaced"]
    if how == "no-content":
        start_response("204 No Content", [])
        return []
    if how == "not-modified":
        start_response("304 Not Modified", [("ETag", '"x"')])
        return []
    if how == "late":
        return late(start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well\n"]


def late(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"a part of the response\n"
    raise ValueError("raised in the middle")
