"""Answers with the environ as other servers could show it too, and with what a query
asks for: status, headers, body."""

import json
import os
import urllib.parse

loads = 0


def answer(environ, start_response, entry):
    query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""))
    status = query.get("status", ["200 OK"])[0]
    headers = [tuple(h.split(":", 1)) for h in query.get("header", [])]
    data = environ["wsgi.input"].read() if "read" in query else b""
    shown = {}
    for key, value in environ.items():
        shown[key] = value if isinstance(value, (str, int, float, bool)) else type(value).__name__
    result = {
        "entry": entry,
        "environ": shown,
        "body": len(data),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "cwd": os.getcwd(),
        "file": __file__,
    }
    body = query["body"][0].encode() if "body" in query else json.dumps(result, sort_keys=True).encode()
    if "length" in query:
        headers.append(("Content-Length", str(len(body))))
    start_response(status, [("Content-Type", "application/json")] + headers)
    return [body]


def application(environ, start_response):
    return answer(environ, start_response, "application")


def other(environ, start_response):
    return answer(environ, start_response, "other")


def handle_request(environ, start_response):
    return answer(environ, start_response, "handle_request")


def process_group(environ):
    return environ.get("CHOSEN_GROUP")


def application_group(environ):
    return environ.get("CHOSEN_APPLICATION")


def callable_object(environ):
    return environ.get("CHOSEN_CALLABLE")
