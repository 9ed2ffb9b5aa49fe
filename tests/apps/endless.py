"""Streams without end; makes the file ?closed when the iterable is closed."""

from urllib.parse import parse_qs


class Endless:
    def __init__(self, closed):
        self.closed = closed

    def __iter__(self):
        return self

    def __next__(self):
        return b"x" * 1000

    def close(self):
        with open(self.closed, "w") as out:
            out.write("closed\n")


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Endless(parse_qs(environ["QUERY_STRING"])["closed"][0])
