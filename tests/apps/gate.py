"""Makes the file ?started (its content: the pid, and appends for each run), then waits until the file ?gate exists."""

import os
import time
from urllib.parse import parse_qs


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    descriptor = os.open(query["started"][0], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, b"%d\n" % os.getpid())
    os.close(descriptor)
    deadline = time.monotonic() + 60
    while not os.path.exists(query["gate"][0]):
        if time.monotonic() > deadline:
            raise RuntimeError("nobody opened the gate")
        time.sleep(0.005)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode("ascii")]
