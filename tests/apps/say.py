"""Says one thing on every way to the log that an application has."""

import logging
import os
import subprocess
import sys


def inner():
    raise LookupError("a traceback of several lines\nwith a line end in its message")


def application(environ, start_response):
    print("said by print")
    sys.stderr.write("said on sys.stderr\n")
    environ["wsgi.errors"].write("said on wsgi.errors\n")
    logging.getLogger("some.logger").warning("said by logging")
    with open("/dev/stderr", "w") as out:
        out.write("said on /dev/stderr\n")
    os.write(2, b"said on descriptor 2\n")
    subprocess.run(["sh", "-c", "echo said by a subprocess >&2"], check=True)
    print("with \x1b[31mcontrol\x07 bytes", file=sys.stderr)
    sys.stderr.write("never ended by a line end")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/raise":
        inner()
    return [environ.get("mod_wsgi.request_id", "").encode("ascii")]
