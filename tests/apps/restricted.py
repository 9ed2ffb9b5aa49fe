"""What an application is kept from, and how its Python was started, as JSON."""

import json
import os
import signal
import sys


def stream(value):
    """Type of a stream of sys and what using it says."""
    kind = type(value)
    try:
        value.fileno
        said = "usable"
    except OSError as error:
        said = str(error)
    return "%s.%s: %s" % (kind.__module__, kind.__name__, said)


def application(environ, start_response):
    def handler(number, frame):
        pass

    before = signal.getsignal(signal.SIGTERM)
    try:
        returned = signal.signal(signal.SIGTERM, handler) is handler
    except ValueError:
        returned = None
    body = json.dumps({
        "stdin": stream(sys.stdin), "stdout": stream(sys.stdout), "stderr": stream(sys.stderr),
        "signal_returned": returned, "signal_kept": signal.getsignal(signal.SIGTERM) == before,
        "optimize": sys.flags.optimize, "bytecode": sys.dont_write_bytecode, "warnings": sys.warnoptions,
        "interval": sys.getswitchinterval(), "hash": hash("wsgid"), "path": sys.path,
        "eggs": os.environ.get("PYTHON_EGG_CACHE"),
        "left": sorted(name for name in os.environ if name.startswith("PYTHON") and name != "PYTHON_EGG_CACHE"),
    }).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
