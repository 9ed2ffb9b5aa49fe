"""Waits in C with the GIL held until somebody opens the fifo ?gate; ?started names a file that it makes before."""

import ctypes
import os
from urllib.parse import parse_qs

libc = ctypes.PyDLL(None)  # PyDLL keeps the GIL


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    if "gate" in query:
        with open(query["started"][0], "w") as out:
            out.write("started")
        # Opening a fifo for reading takes until there is a writer.
        os.close(libc.open(query["gate"][0].encode(), os.O_RDONLY))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"let go\n"]
