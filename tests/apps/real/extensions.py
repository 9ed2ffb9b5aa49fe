import io
import json

import lxml.etree
import numpy
import psycopg2
import psycopg2.extensions


def application(environ, start_response):
    matrix = numpy.arange(10000, dtype=float).reshape(100, 100)
    tree = lxml.etree.parse(io.BytesIO(environ["wsgi.input"].read() or b"<a><b>1</b></a>"))
    try:
        psycopg2.connect("host=/nonexistent dbname=x")
        connected = "yes"
    except psycopg2.OperationalError as error:
        connected = type(error).__name__
    body = json.dumps({
        "trace": float(matrix.dot(matrix).trace()), "text": tree.findtext("b"), "connected": connected,
        "quoted": psycopg2.extensions.QuotedString("it's").getquoted().decode(),
    }).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
