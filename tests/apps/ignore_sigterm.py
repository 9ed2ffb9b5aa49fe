"""Ignores SIGTERM behind Python's back, and never finishes a request for /stuck."""

import ctypes
import os
import time
from urllib.parse import parse_qs

libc = ctypes.CDLL(None)


def application(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        libc.signal(15, ctypes.c_void_p(1))  # SIG_IGN
        with open(parse_qs(environ["QUERY_STRING"])["started"][0], "w") as out:
            out.write(str(os.getpid()))
        while True:
            time.sleep(3600)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode("ascii")]
