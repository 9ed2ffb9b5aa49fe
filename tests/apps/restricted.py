"""What an application is kept from, and how its Python was started, as JSON."""

import ctypes
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


def stack_size():
    """Bytes of this thread's stack."""
    library = ctypes.CDLL(None)
    library.pthread_self.restype = ctypes.c_void_p
    attributes, size = ctypes.create_string_buffer(64), ctypes.c_size_t()
    library.pthread_getattr_np(ctypes.c_void_p(library.pthread_self()), attributes)
    library.pthread_attr_getstacksize(attributes, ctypes.byref(size))
    library.pthread_attr_destroy(attributes)
    return size.value


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
        "interval": sys.getswitchinterval(), "hash": hash("wsgid"), "path": sys.path, "stack": stack_size(),
        "eggs": os.environ.get("PYTHON_EGG_CACHE"),
        "left": sorted(name for name in os.environ if name.startswith("PYTHON") and name != "PYTHON_EGG_CACHE"),
    }).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
