"""Notes every POST: its ?id goes to the file named by COUNTED, a line each. Sleeps ?for seconds. Answers with the length
of the body and what GENERATION is in its environment."""

import os
import time
from urllib.parse import parse_qs


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    size = len(environ["wsgi.input"].read())
    if environ["REQUEST_METHOD"] == "POST":
        notes = os.open(os.environ["COUNTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(notes, (query["id"][0] + "\n").encode())
        os.close(notes)
    time.sleep(float(query.get("for", ["0"])[0]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["{} {}".format(size, os.environ.get("GENERATION", "1")).encode()]
