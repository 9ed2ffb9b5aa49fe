"""A service: writes its pid into the file "running" of the directory STATE and sleeps until it is stopped.

The file "mode" says otherwise: "end" returns at once, "raise" raises, "stubborn" ignores SystemExit.
"""

import atexit
import os
import time

STATE = os.environ["STATE"]


def put(name, text):
    temporary = os.path.join(STATE, name + ".new")
    with open(temporary, "w") as file:
        file.write(text)
    os.rename(temporary, os.path.join(STATE, name))


def mode():
    try:
        with open(os.path.join(STATE, "mode")) as file:
            return file.read()
    except FileNotFoundError:
        return ""


put("running", "%d" % os.getpid())
if mode() == "raise":
    raise LookupError("no such queue")
if mode() != "end":
    atexit.register(put, "atexit", "x")
    while True:
        try:
            time.sleep(3600)
        except SystemExit:
            put("stopped", "%d" % os.getpid())
            if mode() != "stubborn":
                raise
