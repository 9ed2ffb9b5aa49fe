"""Service processes (threads = 0): SIGTERM ends their script as sys.exit() does."""

import os
import signal
import sys


def prepare():
    """Binds SIGTERM; the script may bind it anew."""
    service = os.getpid()

    def terminate(number, frame):
        if os.getpid() == service:
            sys.exit(0)
        # A child that something else than os.fork made.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def forked():
        # A child dies of it, as it would have without us. Set at once: a handler
        # in Python is late for a child that goes on to wait in a system call.
        if signal.getsignal(signal.SIGTERM) is terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, terminate)
    os.register_at_fork(after_in_child=forked)
