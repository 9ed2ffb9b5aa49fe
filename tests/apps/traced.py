"""Says what it sees of its trace, and writes a line with its path: /wait waits for the file beside it
of the name in the query string, /die ends the process when that file is not there, and makes it."""

import json
import os
import signal
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def application(environ, start_response):
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    print("traced " + path, file=environ["wsgi.errors"])
    if path.endswith("/wait"):
        while not os.path.exists(os.path.join(HERE, environ["QUERY_STRING"])):
            time.sleep(0.01)
    if path.endswith("/die"):
        try:
            os.mkdir(os.path.join(HERE, "open", "died"))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    start_response("200 OK", [("Content-Type", "application/json")])
    names = [name for name in environ if "TRACE" in name]
    return [json.dumps({name: environ[name] for name in names}).encode()]
