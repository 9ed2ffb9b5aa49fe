"""wsgid check --apps, the part inside the throw-away worker: what importing one
application took and what became of it. The C side (check.c) makes a Check,
loads the script as a worker does, and sends what report() returns.
"""

import difflib
import json
import sys
import time
import traceback

from wsgid import diagnose

try:
    import resource
except ImportError:  # not on every system
    resource = None


class Check:
    """Measures from its creation on."""

    def __init__(self, python_path):
        self._python_path = list(python_path)
        self._memory = _resident()
        self._start = time.monotonic()

    def report(self, script, name, module, kind, error, trace):
        """JSON about a script, as UTF-8. module: what it became, or None;
        kind, error and trace: the exception of a failed import, or None."""
        seconds, memory = time.monotonic() - self._start, _resident()
        text, hints = None, []
        if error is not None:
            text = "".join(traceback.format_exception(kind, error, trace))
        elif module is None:
            text = "the script does not exist"
        elif name and not callable(getattr(module, name, None)):
            text = "the script has no callable object %r" % name
            names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            near = [key for key in ("application", "app", "wsgi") if key in names] or difflib.get_close_matches(name, names)
            if near and name == "handle_request":  # of a handler_script, whose entry point has no option
                hints.append("it has %s, but a handler_script is entered by handle_request: rename it there, or mount it "
                             "with script_alias" % ", ".join(near))
            elif near:
                hints.append("it has %s: callable_object = \"%s\"" % (", ".join(near), near[0]))
        if error is not None or module is None:
            hints = diagnose.hints(error, script, self._python_path)
        report = {
            "seconds": seconds, "resident_bytes": memory, "grown_bytes": max(0, memory - self._memory),
            "executable": sys.executable, "path": [str(entry) for entry in sys.path],
            "error": text, "hints": hints, "warnings": diagnose.warnings(self._python_path),
        }
        return json.dumps(report).encode("utf-8", "replace")


def _resident():
    """Resident bytes of this process."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except (OSError, AttributeError):
        return 0
