import json
import sys


def application(environ, start_response):
    shown = {}
    for key, value in environ.items():
        assert type(key) is str, key
        shown[key] = [type(value).__name__, value if isinstance(value, (str, int, float, bool, tuple)) else None]
    assert type(environ) is dict
    environ["changed.by.application"] = "1"
    environ["PATH_INFO"] = "changed"
    environ.pop("QUERY_STRING")
    body = json.dumps(shown).encode("ascii")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def latin(environ, start_response):
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode("latin-1"), b"|", environ["HTTP_X"].encode("latin-1")]


def modules(environ, start_response):
    start_response("200 OK", [])
    return [repr((sys.version_info[:2], __name__, sys.stdout.encoding, environ["mod_wsgi.application_group"])).encode()]
