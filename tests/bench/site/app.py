"""The application of the benchmark: the same file for every server.

The last segment of the path chooses the workload.
"""
import os
import time

HELLO = b"Hello world!\n"
CHUNK = b"x" * 65536
CHUNKS = 16


def stream():
    for _ in range(CHUNKS):
        yield CHUNK


def plain(start_response, body):
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]


def application(environ, start_response):
    work = environ["PATH_INFO"].rpartition("/")[2]
    if work == "hello":
        return plain(start_response, HELLO)
    if work == "stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream()
    if work == "upload":
        left = int(environ["CONTENT_LENGTH"])
        body = environ["wsgi.input"]
        while left > 0:
            part = body.read(min(65536, left))
            if not part:
                break
            left -= len(part)
        if left:
            start_response("500 Incomplete", [("Content-Type", "text/plain")])
            return [b"incomplete\n"]
        return plain(start_response, HELLO)
    if work == "sleep":
        time.sleep(0.1)
        return plain(start_response, HELLO)
    if work == "who":
        return plain(start_response, b"%d\n" % os.getpid())
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"no such workload\n"]
