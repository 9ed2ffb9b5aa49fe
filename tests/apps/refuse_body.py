"""Answers 413 without having read a byte of the body."""


def application(environ, start_response):
    start_response("413 Content Too Large", [("Content-Type", "text/plain"), ("Content-Length", "8")])
    return [b"too big\n"]
