"""Leaves children behind: a subprocess, a forked one that ignores SIGTERM, and an orphan."""

import json
import os
import signal
import subprocess
import sys
import time


def forked():
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(3600)
    finally:
        os._exit(1)


def orphan():
    """A grandchild whose parent has exited."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        if not os.fork():
            os.write(writing, b"%d" % os.getpid())
            os.close(writing)
            while True:
                time.sleep(3600)
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    grandchild = int(os.read(reading, 32))
    os.close(reading)
    return grandchild


def application(environ, start_response):
    sleeper = subprocess.Popen(["sleep", "3600"])
    pids = {"subprocess": sleeper.pid, "forked": forked(), "orphan": orphan(), "self": os.getpid()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(pids).encode("ascii")]
