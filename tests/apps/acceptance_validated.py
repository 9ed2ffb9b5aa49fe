"""Under wsgiref.validate: echoes its body as one item (/), or line by line (/stream)."""

from wsgiref.validate import validator


def plain(environ, start_response):
    data = environ["wsgi.input"].read(100000)
    environ["wsgi.errors"].write("validated\n")
    environ["wsgi.errors"].flush()
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("X-Kind", "plain")])
    write(b"begin ")
    return [data, b" end"]


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Kind", "stream")])
    for line in environ["wsgi.input"]:
        yield line
    environ["wsgi.errors"].writelines(["validated ", "stream\n"])
    yield b"end"


CHECKED = {"/": validator(plain), "/stream": validator(stream)}


def application(environ, start_response):
    return CHECKED[environ["PATH_INFO"]](environ, start_response)
