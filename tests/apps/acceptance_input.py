"""Reads wsgi.input in the way that PATH_INFO names; answers what each call gave, as JSON."""

import json


def until_empty(call):
    parts = []
    while True:
        part = call()
        if not part:
            return parts
        parts.append(part)


WAYS = {
    "read": lambda i: [i.read(), i.read(), i.read(5), i.readline()],
    "split": lambda i: [i.read(4), i.read(3), i.read(), i.read()],
    "seven": lambda i: until_empty(lambda: i.read(7)),
    "nothing": lambda i: [i.read(0), i.read(0), i.read()],
    "lines": lambda i: until_empty(i.readline),
    "five": lambda i: until_empty(lambda: i.readline(5)),
    "readlines": lambda i: i.readlines(),
    "first": lambda i: i.readlines(1) + [b"|"] + i.readlines(),
    "iterate": lambda i: list(i),
    "close": lambda i: [i.close() or b"closed", i.read()],
}


def broken(stream, errors):
    """For a body that does not come whole: says so in the log."""
    errors.write("reading\n")
    try:
        stream.read()
    except OSError as error:
        errors.write("read failed: %s\n" % error)
        raise


def application(environ, start_response):
    stream, way = environ["wsgi.input"], environ["PATH_INFO"].strip("/")
    if way == "broken":
        return broken(stream, environ["wsgi.errors"])
    if way == "echo":
        body = stream.read()
    else:
        body = json.dumps([part.decode("latin-1") for part in WAYS[way](stream)]).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]
