"""Uses the write() callable of start_response, then an iterable, and closes it."""

import os
from urllib.parse import parse_qs


class Rest:
    def __init__(self, mark):
        self.mark = mark
        self.items = iter([b"", b"three\n"])

    def __iter__(self):
        return self.items

    def close(self):
        if self.mark:
            with open(self.mark, "a") as out:
                out.write("closed\n")


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"one\n")
    write(b"two\n")
    return Rest(query.get("mark", [""])[0])
