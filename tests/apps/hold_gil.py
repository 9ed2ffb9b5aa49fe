"""Sleeps ?for seconds in C with the GIL held; ?started names a file that it makes before."""

import ctypes
from urllib.parse import parse_qs

libc = ctypes.PyDLL(None)  # PyDLL keeps the GIL


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    if "for" in query:
        with open(query["started"][0], "w") as out:
            out.write("started")
        libc.usleep(int(float(query["for"][0]) * 1000000))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"let go\n"]
