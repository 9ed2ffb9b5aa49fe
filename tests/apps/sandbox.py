"""Tries what it is asked to, and says how each attempt ends: "" or the name of
the error. The query is a list of verb=path."""

import errno
import json
import os
import stat
import subprocess
from urllib.parse import parse_qsl


def read(path):
    if os.path.isdir(path):
        os.listdir(path)
    else:
        with open(path, "rb") as file:
            file.read(1)


def write(path):
    with open(path, "ab") as file:
        file.write(b"x")


def make(path):
    os.mkdir(path)


def remove(path):
    os.remove(path)


def truncate(path):
    os.truncate(path, 0)


def execute(path):
    subprocess.run([path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def empty(path):
    if os.listdir(path):
        raise OSError(errno.ENOTEMPTY, "not empty")


def device(path):
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))


VERBS = {f.__name__: f for f in (read, write, make, remove, truncate, execute, empty, device)}


def attempt(verb, path):
    try:
        VERBS[verb](path)
    except OSError as error:
        return errno.errorcode[error.errno]
    return ""


def application(environ, start_response):
    tried = {"%s %s" % pair: attempt(*pair) for pair in parse_qsl(environ["QUERY_STRING"])}
    with open("/proc/self/oom_score_adj") if os.path.exists("/proc/self") else open(os.devnull) as file:
        score = file.read().strip()
    body = json.dumps({
        "tried": tried, "pid": os.getpid(), "cwd": os.getcwd(), "oom_score_adj": score, "file": __file__,
        "script_filename": environ.get("SCRIPT_FILENAME"), "document_root": environ.get("DOCUMENT_ROOT"),
        "mounts": os.path.exists("/proc/self") and len(open("/proc/self/mounts").readlines()) or 0,
    }).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
