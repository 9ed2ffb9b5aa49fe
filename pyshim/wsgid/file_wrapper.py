"""wsgi.file_wrapper (PEP 3333, mod_wsgi behaviour 6.8).

The server calls _prepare on an instance that an application returned, before
it iterates: a regular file is sent by the server itself (file_send.c).
"""

import os
import stat


class FileWrapper:
    """Iterates over a file-like object in blocks."""

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize
        self._closed = False

    def _check(self):
        if self._closed:
            raise ValueError("I/O operation on closed file")

    def _prepare(self):
        """Descriptor, offset and length of the rest of a regular file; None
        when only iteration gives what the file-like object reads."""
        self._check()
        kind = type(self)
        if kind.__iter__ is not _iter or kind.__next__ is not _next or _transforms(self.filelike):
            return None
        try:
            descriptor = self.filelike.fileno()
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                return None
            offset = self.filelike.tell()
            return descriptor, offset, max(info.st_size - offset, 0)
        except Exception:
            return None

    def __iter__(self):
        self._check()
        return self

    def __next__(self):
        self._check()
        data = self.filelike.read(self.blksize)
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
_iter, _next = FileWrapper.__iter__, FileWrapper.__next__


def _transforms(filelike):
    """gzip, bz2 and lzma have the descriptor of the compressed file: what they
    read is not what is in it. They share a base class of that name."""
    return any(base.__name__ == "BaseStream" for base in type(filelike).__mro__)
