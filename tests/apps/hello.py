"""The smallest application; names the process that served it in a header."""

import os


def application(environ, start_response):
    body = b"Hello, world!\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))),
                              ("X-PID", str(os.getpid()))])
    return [body]
