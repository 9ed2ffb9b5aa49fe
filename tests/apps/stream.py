"""Streams: each further chunk is sent only when the file ?gate has as many bytes as chunks before.

The reader of the response writes the file, so it has seen a chunk before the next one exists.
With ?fail=1 it raises where the last chunk would be.
"""

import os
import time
from urllib.parse import parse_qs


def chunks(gate, count, fail):
    for number in range(count):
        deadline = time.monotonic() + 60
        while os.path.getsize(gate) < number:
            if time.monotonic() > deadline:
                raise RuntimeError("nobody opened the gate")
            time.sleep(0.005)
        if fail and number == count - 1:
            raise ValueError("raised in the middle")
        yield ("chunk %d\n" % number).encode("ascii")


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Accel-Buffering", "no")])
    return chunks(query["gate"][0], int(query.get("count", ["3"])[0]), "fail" in query)
