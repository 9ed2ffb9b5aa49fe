"""Reads the request body as the query says and answers with its length and SHA-256.

?by=read (all at once), read:N (pieces of N bytes), readline, iter, readlines.
"""

import hashlib
import json
import os
from urllib.parse import parse_qs

GENERATION = "GENERATION-1"


def pieces(stream, how):
    if how == "read":
        yield stream.read()
    elif how == "readline":
        while True:
            line = stream.readline()
            if not line:
                return
            yield line
    elif how == "readlines":
        for line in stream.readlines():
            yield line
    elif how == "iter":
        for line in stream:
            yield line
    else:
        size = int(how.partition(":")[2])
        while True:
            piece = stream.read(size)
            if not piece:
                return
            yield piece


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    digest = hashlib.sha256()
    length = 0
    for piece in pieces(environ["wsgi.input"], query.get("by", ["read:65536"])[0]):
        digest.update(piece)
        length += len(piece)
    body = json.dumps({
        "sha256": digest.hexdigest(),
        "length": length,
        "pid": os.getpid(),
        "generation": GENERATION,
        "content_length": environ.get("CONTENT_LENGTH"),
        "terminated": environ.get("wsgi.input_terminated"),
        "rest": environ["wsgi.input"].read().decode("latin-1"),
    }).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
