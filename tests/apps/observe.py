"""Watches its own requests with module mod_wsgi: answers what a subscriber put
into the data of the request, the attributes, the metrics and the events of the
requests before. Says on standard output when its process stops."""

import json
import logging
import sys

import mod_wsgi
from mod_wsgi import process_group

GENERATION = 1

events = []

mod_wsgi.start_recording_metrics()


@mod_wsgi.subscribe_events
def watch(name, **payload):
    if name == "request_started":
        payload["request_data"]["subscriber"] = "set before the application ran"
        environ = payload["request_environ"]
        if environ["PATH_INFO"] == "/broken":
            raise ValueError("the subscriber is broken")
        if environ["PATH_INFO"] == "/wrapped":
            inner = payload["application_object"]
            return {"application_object": lambda e, s: [b"wrapped: "] + inner(e, s)}
    if not name.startswith("process_"):
        events.append([name, sorted(payload), payload.get("status")])


@mod_wsgi.subscribe_shutdown
def stopping(name, **payload):
    print("subscriber saw %s of %r in %r, generation %d" % (name, payload["shutdown_reason"], mod_wsgi.application_group, GENERATION))
    raise RuntimeError("a shutdown subscriber is broken")


@mod_wsgi.subscribe_signals
def signalled(name, **payload):
    print("subscriber saw %s %s %d" % (name, payload["signame"], payload["signum"]))


def ways_to_the_log(environ):
    print("way one")
    sys.stderr.writelines(["way two\n", "way three\n"])
    errors = environ["wsgi.errors"]
    errors.writelines(["way four\n", "way five\n"])
    for data in b"way six\n", bytearray(b"way seven\n"), memoryview(b"way eight\n"):
        errors.buffer.write(data)
        errors.buffer.flush()
    for number, data in enumerate((b"way nine\n", bytearray(b"way ten\n"), memoryview(b"way eleven\n"))):
        (sys.stdout if number == 1 else sys.stderr).buffer.write(data)
    logger = logging.getLogger("observe")
    logger.propagate = False
    logger.handlers = [mod_wsgi.LogHandler()]
    logger.warning("way twelve")


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise KeyError("for the event")
    if path == "/log":
        ways_to_the_log(environ)
    if path == "/timeout":
        raise mod_wsgi.RequestTimeout
    answer = {
        "data": mod_wsgi.request_data(),
        "active": environ["mod_wsgi.request_id"] in mod_wsgi.active_requests,
        "process_group": process_group,
        "application_group": mod_wsgi.application_group,
        "version": mod_wsgi.version,
        "threads": mod_wsgi.threads_per_process,
        "processes": mod_wsgi.maximum_processes,
        "server_metrics": mod_wsgi.server_metrics(),
        "process": mod_wsgi.process_metrics(),
        "request": mod_wsgi.request_metrics() if path == "/metrics" else None,
        "events": events[:],
    }
    if path == "/metrics":
        del events[:]
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
