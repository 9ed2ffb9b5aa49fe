"""Keeps ?mib MiB more in memory, and answers with its pid, or with MemoryError where that is not possible."""

import os
from urllib.parse import parse_qs

kept = []


def application(environ, start_response):
    mib = int(parse_qs(environ["QUERY_STRING"])["mib"][0])
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        kept.append(b"x" * (mib << 20))
    except MemoryError:
        return [b"MemoryError"]
    return [str(os.getpid()).encode()]
