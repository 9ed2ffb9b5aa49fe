"""Writes ?lines lines to wsgi.errors, sys.stderr and descriptor 2, then answers."""

import os
import sys
from urllib.parse import parse_qs


def application(environ, start_response):
    count = int(parse_qs(environ["QUERY_STRING"])["lines"][0])
    text = "x" * 200
    for number in range(count):
        environ["wsgi.errors"].write("errors %d %s\n" % (number, text))
        sys.stderr.write("stderr %d %s\n" % (number, text))
        os.write(2, ("raw %d %s\n" % (number, text)).encode("ascii"))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"flooded\n"]
