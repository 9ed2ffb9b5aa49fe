"""Service processes (threads = 0): SIGTERM ends their script as sys.exit() does."""

import os
import signal
import sys


def prepare():
    """Binds SIGTERM; the script may bind it anew."""
    service = os.getpid()

    def terminate(number, frame):
        if os.getpid() != service:
            # A child that was forked without exec dies of it, as it would have
            # without us.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        sys.exit(0)

    signal.signal(signal.SIGTERM, terminate)
