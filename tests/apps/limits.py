"""Uses resources as ?what= says: rlimits (shows them), grow (?mib=), threads
(starts ?n= and answers how many there could be), burn (?seconds= of wall clock)."""

import json
import os
import resource
import threading
import time
from urllib.parse import parse_qs

kept = []


def rlimits():
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return json.dumps({name[7:].lower(): resource.getrlimit(getattr(resource, name)) for name in names})


def start_threads(n):
    done, started = threading.Event(), []
    try:
        for _ in range(n):
            thread = threading.Thread(target=done.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:
        pass
    done.set()
    for thread in started:
        thread.join()
    return str(len(started))


def application(environ, start_response):
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    what, answer = query["what"], str(os.getpid())
    if what == "rlimits":
        answer = rlimits()
    elif what == "grow":
        kept.append(b"x" * (int(query["mib"]) << 20))
    elif what == "threads":
        answer = start_threads(int(query["n"]))
    elif what == "burn":
        end = time.monotonic() + float(query["seconds"])
        while time.monotonic() < end:
            pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
