"""What an application is kept from (mod_wsgi behaviour 8.2 and 8.3)."""

import atexit
import os
import sys


class Restricted:
    """Stands in for a stream of sys: every attribute raises OSError."""

    __slots__ = ("_name",)

    def __init__(self, name):
        object.__setattr__(self, "_name", name)

    def __getattribute__(self, attribute):
        name = object.__getattribute__(self, "_name")
        raise OSError("sys.%s access restricted by mod_wsgi" % name)


Restricted.__module__ = "mod_wsgi"


def stream(name):
    """Restricts sys.stdin or sys.stdout. At the end Python flushes what is
    there, and complains about what it cannot flush: after the exit functions of
    the application, which were registered later, there is nothing."""
    setattr(sys, name, Restricted(name))
    atexit.register(setattr, sys, name, None)


def signals():
    """signal.signal changes nothing, says so in the log, and returns the handler
    that it was given. The wrapper in module signal calls the function here, so
    that it need not be imported. In a forked child it works."""
    import _signal

    plain, pid = _signal.signal, os.getpid()

    def signal(signalnum, handler):
        if os.getpid() != pid:
            return plain(signalnum, handler)
        _warn(signalnum, handler)
        return handler

    signal.__doc__ = plain.__doc__
    _signal.signal = signal


def _warn(signalnum, handler):
    import traceback
    import wsgid

    stack = traceback.format_stack(sys._getframe(2))
    wsgid._log(
        "warn",
        "signal.signal(%s, %r) is ignored: the signals of this process are wsgid's; restrict_signal = false "
        "lifts that\nStack (most recent call last):\n%s" % (signalnum, handler, "".join(stack)),
    )
