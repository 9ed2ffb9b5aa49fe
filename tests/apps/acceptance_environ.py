"""Its environ as JSON: each value and the type it has."""

import json


def application(environ, start_response):
    shown = {}
    for key, value in environ.items():
        plain = isinstance(value, (str, int, float, bool, tuple))
        shown[key] = {"value": value if plain else repr(value), "type": str(type(value)), "repr": repr(value)}
    body = json.dumps(shown).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
