"""The binary layer of the log streams: what ``sys.stderr.buffer`` is.

Knows nothing of requests: the text layer, written in C, attributes and cuts.
"""

import io
import warnings

_warned = False


class Buffer(io.RawIOBase):
    """Takes any bytes-like object and hands it to its text stream."""

    def __init__(self, stream):
        super().__init__()
        self._stream = stream

    def writable(self):
        return True

    def write(self, data):
        global _warned
        if isinstance(data, str):
            if not _warned:
                _warned = True
                warnings.warn("str written to the binary layer of a log stream", DeprecationWarning, stacklevel=2)
            data = data.encode("utf-8", "replace")
        return self._stream._write_bytes(data)

    def flush(self):
        self._stream.flush()

    def close(self):
        """Closing the layer does not close the log."""
