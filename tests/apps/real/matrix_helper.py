"""What a child process runs: importable by the child, which a WSGI script is not."""

import os
import sys


def square(n):
    return n * n


def whoami(queue):
    queue.put((os.getpid(), sys.prefix, os.getuid()))
