"""Sends ?size bytes of a repeating pattern in pieces of ?piece; ?length=1 announces the length."""

from urllib.parse import parse_qs

PATTERN = bytes(range(256)) * 257  # 65792 bytes: in step with no power of two


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    size = int(query["size"][0])
    piece = int(query.get("piece", ["65536"])[0])
    headers = [("Content-Type", "application/octet-stream")]
    if "length" in query:
        headers.append(("Content-Length", str(size)))
    start_response("200 OK", headers)

    def body():
        sent = 0
        while sent < size:
            at = sent % len(PATTERN)
            block = PATTERN[at:at + min(piece, size - sent)]
            sent += len(block)
            yield block

    return body()
