"""Requests that take too long; /pid answers. ?started names a file that gets a line for each run, ?for are seconds."""

import ctypes
import os
import time
from urllib.parse import parse_qs


def spin():
    while True:
        pass


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    if "started" in query:
        with open(query["started"][0], "a") as out:
            out.write("started\n")
    path = environ["PATH_INFO"]
    if path == "/busy":
        spin()
    if path == "/reraises":
        try:
            spin()
        except BaseException:
            raise
    while path == "/never":
        try:
            spin()
        except BaseException:
            pass
    if path == "/keeps_gil":
        ctypes.PyDLL(None).pause()  # PyDLL keeps the GIL
    end = time.monotonic() + float(query.get("for", ["0"])[0])
    while path == "/works" and time.monotonic() < end:
        pass
    if path == "/sleeps":
        time.sleep(float(query["for"][0]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/streams":
        return streams()
    return [str(os.getpid()).encode("ascii")]


def streams():
    yield b"beginning"
    spin()
