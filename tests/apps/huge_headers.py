"""Sends ?count response headers of ?size bytes each."""

from urllib.parse import parse_qs


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    size = int(query["size"][0])
    headers = [("Content-Type", "text/plain")]
    for number in range(int(query["count"][0])):
        headers.append(("X-Huge-%d" % number, "v" * size))
    start_response("200 OK", headers)
    return [b"huge\n"]
