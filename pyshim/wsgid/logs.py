"""Records of the logging module keep their level on the way to the log.

A StreamHandler knows the level of a record, the stream it writes to does not.
Where that stream is one of the server's (sys.stderr, sys.stdout, wsgi.errors)
the handler hands the record over as a whole; every other stream, and a
subclass with an emit of its own, is none of our business.
"""

import logging


class LogHandler(logging.Handler):
    """Sends records to the log of the server, with their level, the name of
    their logger and their place in the source, and with the request if this
    thread serves one (mod_wsgi behaviour 9)."""

    _stream = None

    @classmethod
    def connect(cls, stream):
        """stream: where records go; the application may replace sys.stderr."""
        cls._stream = stream

    def emit(self, record):
        try:
            self._stream._record(
                record.levelno, self.format(record), record.name, "%s:%d" % (record.pathname, record.lineno)
            )
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)


LogHandler.__module__ = "mod_wsgi"


def install(stream_type):
    """Teaches StreamHandler (and so basicConfig and logging.lastResort) about
    the type of our streams; once in each interpreter."""
    plain = logging.StreamHandler.emit

    def emit(self, record):
        if type(self.stream) is not stream_type:
            return plain(self, record)
        try:
            self.stream._record(record.levelno, self.format(record))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    emit.__doc__ = plain.__doc__
    emit.__name__ = plain.__name__
    emit.__qualname__ = plain.__qualname__
    emit.__module__ = plain.__module__
    logging.StreamHandler.emit = emit
