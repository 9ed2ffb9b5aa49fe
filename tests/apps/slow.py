"""Sleeps ?for seconds, then answers with its pid; ?started names a file that it makes when it begins."""

import os
import time
from urllib.parse import parse_qs


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    if "started" in query:
        with open(query["started"][0], "w") as out:
            out.write(str(os.getpid()))
    time.sleep(float(query["for"][0]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode("ascii")]
