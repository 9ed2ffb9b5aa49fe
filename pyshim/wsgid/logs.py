"""Records of the logging module keep their level on the way to the log.

A StreamHandler knows the level of a record, the stream it writes to does not.
Where that stream is one of the server's (sys.stderr, sys.stdout, wsgi.errors)
the handler hands the record over as a whole; every other stream, and a
subclass with an emit of its own, is none of our business.
"""

import io
import logging


def send(log, record, text):
    """One record, with the name of its logger and its place in the source."""
    log._record(record.levelno, text, record.name, "%s:%d" % (record.pathname, record.lineno))


class LogHandler(logging.Handler):
    """Sends records to the log of the server, with their level, the name of
    their logger and their place in the source, and with the request if this
    thread serves one (mod_wsgi behaviour 9)."""

    _log = None

    @classmethod
    def connect(cls, log):
        """log: where records go; the application may replace sys.stderr."""
        cls._log = log

    def emit(self, record):
        try:
            send(self._log, record, self.format(record))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)


LogHandler.__module__ = "mod_wsgi"


def install(log_type):
    """Teaches StreamHandler (and so basicConfig and logging.lastResort) about
    text streams over our log objects; once in each interpreter."""
    io.RawIOBase.register(log_type)
    plain = logging.StreamHandler.emit

    def log_below(stream):
        if type(stream) is not io.TextIOWrapper:
            return None
        try:
            log = stream.buffer
        except ValueError:  # detached
            return None
        return log if type(log) is log_type else None

    def emit(self, record):
        log = log_below(self.stream)
        if log is None:
            return plain(self, record)
        try:
            send(log, record, self.format(record))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    emit.__doc__ = plain.__doc__
    emit.__name__ = plain.__name__
    emit.__qualname__ = plain.__qualname__
    emit.__module__ = plain.__module__
    logging.StreamHandler.emit = emit
