"""wsgi.file_wrapper (PEP 3333, mod_wsgi behaviour 6.8).

The server calls _prepare on an instance that an application returned, before
it iterates: for a regular file that says how long the response is.
"""

import os
import stat

# What is read at once from a regular file: four records of the largest size.
_BLOCK = 4 * 65528


class FileWrapper:
    """Iterates over a file-like object in blocks."""

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize
        self._closed = False
        self._size = blksize

    def _check(self):
        if self._closed:
            raise ValueError("I/O operation on closed file")

    def _prepare(self):
        """The length of the rest of a regular file, else None."""
        self._check()
        try:
            info = os.fstat(self.filelike.fileno())
            if not stat.S_ISREG(info.st_mode):
                return None
            offset = self.filelike.tell()
        except Exception:
            return None
        self._size = max(self.blksize, _BLOCK)
        return max(info.st_size - offset, 0)

    def __iter__(self):
        self._check()
        return self

    def __next__(self):
        self._check()
        data = self.filelike.read(self._size)
        if not data:
            raise StopIteration
        return data

    def close(self):
        if self._closed:
            return
        self._closed = True
        try:
            close = self.filelike.close
        except AttributeError:
            return
        try:
            close()
        except Exception:
            pass


FileWrapper.__module__ = "mod_wsgi"
