"""Answers with its environ, the process it runs in and the interpreter, as JSON."""

import json
import os
import sys
import threading

hits = 0
lock = threading.Lock()


def status_line(name):
    """A line of /proc/self/status: os.umask() could only ask by changing it."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name + ":"):
                return line.split(":", 1)[1].strip()
    return None


def describe(environ, entry):
    global hits
    with lock:
        hits += 1
        mine = hits
    shown = {}
    for key, value in environ.items():
        shown[key] = value if isinstance(value, (str, int, float, bool)) else repr(value)
    return {
        "entry": entry,
        "environ": shown,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "uid": os.getuid(),
        "euid": os.geteuid(),
        "gid": os.getgid(),
        "groups": sorted(os.getgroups()),
        "session": os.getsid(0),
        "cwd": os.getcwd(),
        "umask": status_line("Umask"),
        "no_new_privileges": status_line("NoNewPrivs"),
        "hits": mine,
        "module": __name__,
        "python": sys.version.split()[0],
        "prefix": sys.prefix,
        "executable": sys.executable,
        "path": sys.path,
        "process_environ": dict(os.environ),
        "thread": threading.get_ident(),
    }


def answer(environ, start_response, entry):
    body = json.dumps(describe(environ, entry)).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def application(environ, start_response):
    return answer(environ, start_response, "application")


def other_application(environ, start_response):
    return answer(environ, start_response, "other_application")


not_callable = 42
