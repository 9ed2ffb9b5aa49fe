"""Says which load of the module answers, as JSON.

The environment variable STATE names a directory. Its file "hook" says what reload_required does: raise,
false, true, or once (true, and the file goes away). ?delete removes __mtime__.
"""

import hashlib
import json
import os
import threading

import dependency

VERSION = 1
BY_MAIN_THREAD = threading.current_thread() is threading.main_thread()
HOOK = os.path.join(os.environ["STATE"], "hook")
hits = 0
lock = threading.Lock()


def reload_required(path):
    try:
        with open(HOOK) as file:
            wish = file.read()
    except FileNotFoundError:
        return False
    if wish == "raise":
        raise LookupError("the hook does not know")
    if wish == "once":
        os.unlink(HOOK)
    return wish in ("true", "once")


def application(environ, start_response):
    global hits
    with lock:
        hits += 1
        mine = hits
    if environ["QUERY_STRING"] == "delete":
        globals().pop("__mtime__", None)
    body = json.dumps({
        "version": VERSION,
        "dependency": dependency.VERSION,
        "hits": mine,
        "pid": os.getpid(),
        "main_thread": BY_MAIN_THREAD,
        "sha256": hashlib.sha256(environ["wsgi.input"].read()).hexdigest(),
    }).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
