"""Collects the events of the requests that its interpreter serves."""
import json
import os
import sys
import tempfile
import threading

import mod_wsgi

events = []


def plain(value):
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, dict) and "wsgi.version" in value:
        return "environ of " + value["PATH_INFO"]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, type):
        return value.__name__
    return "<%s>" % type(value).__name__


@mod_wsgi.subscribe_events
def collect(name, **payload):
    events.append({"event": name, "payload": plain(payload),
                   "types": {key: type(value).__name__ for key, value in payload.items()},
                   "current": name.startswith("request_") and payload["request_data"] is mod_wsgi.request_data()})


@mod_wsgi.subscribe_events
def first(name, **payload):
    if name == "request_started":
        payload["request_data"]["set by"] = "a subscriber"
        payload["request_environ"]["test.subscriber"] = "was here"
        payload.clear()  # its own copy
        return {"added": 1}


@mod_wsgi.subscribe_events
def second(name, **payload):
    if name == "request_started":
        assert payload["added"] == 1 and "request_id" in payload
        if payload["request_environ"]["PATH_INFO"] == "/wrapped":
            return {"application_object": wrapped}


def broken(name, **payload):
    raise ValueError("broken subscriber of " + name)


def exits(name, **payload):
    sys.exit("subscriber exits")


def wrapped(environ, start_response):
    start_response("200 OK", [])
    return [b"wrapped"]


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise KeyError("raised")
    if path == "/late":
        start_response("200 OK", [])
        return late()
    if path == "/invalid":
        start_response(404, "no list")
    if path == "/twice":
        start_response("200 OK", [])
        try:
            raise OSError("again")
        except OSError:
            start_response("503 Busy", [("X-Y", "z")], sys.exc_info())
        return [b"busy"]
    if path == "/long":
        start_response("200 OK", [("Content-Length", "5")])
        return [b"0123", b"456789"]
    if path == "/break":
        mod_wsgi.subscribe_events(broken)
        mod_wsgi.event_callbacks.append(exits)
    if path == "/mend":
        del mod_wsgi.event_callbacks[3:]
    if path == "/file":
        file = tempfile.TemporaryFile()
        file.write(b"x" * int(environ["QUERY_STRING"]))
        file.seek(0)
        start_response("200 OK", [])
        return mod_wsgi.FileWrapper(file)
    if path == "/fork":
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
    received = len(environ["wsgi.input"].read(3)) + len(environ["wsgi.input"].read())
    body = json.dumps([mod_wsgi.request_data(), environ.get("test.subscriber"), received]).encode()
    start_response("201 Created", [("X-A", "b")])
    return [body]


class Closing(list):
    def close(self):
        raise RuntimeError("close failed")


def closing(environ, start_response):
    start_response("200 OK", [])
    return Closing([b"closing"])


def late():
    yield b"early"
    raise KeyError("late")


def collected(environ, start_response):
    """The events since the last call."""
    taken = json.dumps(events).encode()
    del events[:]
    start_response("200 OK", [])
    return [taken]


def subscribe_wrong(environ, start_response):
    texts = []
    for function in mod_wsgi.subscribe_events, mod_wsgi.subscribe_shutdown, mod_wsgi.subscribe_signals:
        try:
            function("no function")
        except TypeError as error:
            texts.append(str(error))
    start_response("200 OK", [])
    return [json.dumps(texts).encode()]


def process(name, **payload):
    print("process event", name, sorted(payload.items()), repr(mod_wsgi.application_group), flush=True)


def process_all(name, **payload):
    if name.startswith("process_"):
        print("event", name, sorted(payload.items()), repr(mod_wsgi.application_group), flush=True)


def process_broken(name, **payload):
    raise LookupError("broken at " + name)


def subscribe_process(environ, start_response):
    del mod_wsgi.event_callbacks[:]
    mod_wsgi.shutdown_callbacks.append(process_broken)
    mod_wsgi.subscribe_shutdown(process)
    mod_wsgi.signal_callbacks.append(process_broken)
    mod_wsgi.subscribe_signals(process)
    mod_wsgi.subscribe_events(process_all)
    start_response("200 OK", [])
    return [b"subscribed"]


def subscribe_hanging(environ, start_response):
    mod_wsgi.subscribe_shutdown(lambda name, **payload: threading.Event().wait())
    start_response("200 OK", [])
    return [b"subscribed"]


def metrics(environ, start_response):
    value = {"process": mod_wsgi.process_metrics(), "request": mod_wsgi.request_metrics()}
    if environ["QUERY_STRING"] == "start":
        mod_wsgi.start_recording_metrics()
        mod_wsgi.start_recording_metrics()
    start_response("200 OK", [])
    return [json.dumps(value).encode()]


def fork_signal(environ, start_response):
    """The signal that ends a forked child that has no handler of its own."""
    import signal

    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    os.kill(pid, signal.SIGUSR2)
    status = os.waitpid(pid, 0)[1]
    start_response("200 OK", [])
    return [str(os.WTERMSIG(status)).encode()]
