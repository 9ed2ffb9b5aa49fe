"""Leaves a trace where it ran: the proof that somebody could make a process run it."""

import os

with open(__file__ + ".ran", "a") as out:
    out.write("%d\n" % os.getuid())


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"evil ran\n"]
