"""Imports the extension module that the query names and calls it."""

import importlib

import mod_wsgi


def application(environ, start_response):
    module = importlib.import_module(environ["QUERY_STRING"])
    said = module.call(lambda: "called") if hasattr(module, "call") else "imported"
    body = ("%s in '%s'" % (said, mod_wsgi.application_group)).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
