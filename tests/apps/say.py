"""Says one thing on every way to the log that an application has."""

import logging
import os
import subprocess
import sys
import traceback


def inner():
    raise LookupError("a traceback of several lines\nwith a line end in its message")


def tracebacks():
    """One traceback on every way; the raw one as a C library would, line by line."""
    try:
        inner()
    except LookupError:
        logging.exception("traceback by logging")
        sys.stderr.write("traceback on sys.stderr\n")
        traceback.print_exc()
        print(traceback.format_exc().replace("LookupError", "LookupError by print"))
        for line in traceback.format_exc().replace("LookupError", "LookupError on descriptor 2").splitlines(True):
            os.write(2, line.encode("ascii"))


def application(environ, start_response):
    if environ["PATH_INFO"] == "/tracebacks":
        tracebacks()
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
