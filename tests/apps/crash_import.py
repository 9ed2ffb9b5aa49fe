"""Kills its process while it is imported, after it has left a line in the file beside it."""

import os
import signal

with open(__file__ + ".log", "a") as out:
    out.write("%d\n" % os.getpid())
os.kill(os.getpid(), signal.SIGKILL)
