"""Subscribers to events, and the requests that run (mod_wsgi behaviour 9.1).

The server calls what is in these lists; they belong to one interpreter.
"""

event_callbacks = []
shutdown_callbacks = []
signal_callbacks = []


def _subscribe(callbacks, callback):
    if not callable(callback):
        raise TypeError("a subscriber must be callable, not %s" % type(callback).__name__)
    callbacks.append(callback)
    return callback


def subscribe_events(callback):
    """callback(name, **payload) is called for every event. Returns it, so that
    this is a decorator."""
    return _subscribe(event_callbacks, callback)


def subscribe_shutdown(callback):
    """The same for process_stopping alone."""
    return _subscribe(shutdown_callbacks, callback)


def subscribe_signals(callback):
    """The same for process_signal alone."""
    return _subscribe(signal_callbacks, callback)


class ActiveRequests(dict):
    """What request_data() gives for each request that runs in this
    interpreter, by request id. Looked up whenever somebody looks at it, so that
    a request that nobody watches costs nothing."""

    def __init__(self, look):
        super().__init__()
        self._look = look

    def _now(self):
        return dict(self._look())

    def __getitem__(self, key):
        return self._now()[key]

    def __iter__(self):
        return iter(self._now())

    def __len__(self):
        return len(self._now())

    def __contains__(self, key):
        return key in self._now()

    def __eq__(self, other):
        return self._now() == other

    def __ne__(self, other):
        return self._now() != other

    __hash__ = None

    def __repr__(self):
        return repr(self._now())

    def get(self, key, default=None):
        return self._now().get(key, default)

    def keys(self):
        return self._now().keys()

    def values(self):
        return self._now().values()

    def items(self):
        return self._now().items()

    def copy(self):
        return self._now()

    __copy__ = copy

    def __reduce__(self):
        return dict, (self._now(),)
