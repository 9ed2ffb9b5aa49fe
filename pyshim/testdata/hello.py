def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world\n"]


def streamed(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    yield b""
    yield b"two"


def pid(environ, start_response):
    import os
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
