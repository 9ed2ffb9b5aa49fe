"""Made by wsgid serve: imports a module and has its process replaced when a
module of the same project changes. Removed when wsgid serve ends."""

import importlib
import os
import sys
import time

_root = @ROOT@
_prefix = _root.rstrip(os.sep) + os.sep


def _modules():
    """Name and file of every loaded module below the root that is no library."""
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or not path.startswith(_prefix) or path == __file__:
            continue
        inside = path[len(_prefix):].split(os.sep)
        if "site-packages" not in inside and "dist-packages" not in inside:
            yield name, path


def _stamp(path):
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


# Broken code has been mended by the time it is asked for again: forget what
# was imported with it, so that all of it is read anew.
try:
    application = importlib.import_module(@MODULE@)
    for _name in @CALLABLE@.split("."):
        application = getattr(application, _name)
except BaseException:
    for _name, _path in list(_modules()):
        sys.modules.pop(_name, None)
    raise

_known = {path: _stamp(path) for _, path in _modules()}
_next = time.monotonic() + 1
_changed = False


def reload_required(resource):
    """Asked by the worker before each request; looks at most once a second."""
    global _next, _changed
    now = time.monotonic()
    if _changed or now < _next:
        return _changed
    _next = now + 1
    for _, path in _modules():
        stamp = _stamp(path)
        if _known.setdefault(path, stamp) != stamp:
            _changed = True
    return _changed
