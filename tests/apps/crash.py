"""Ends the process as PATH_INFO says: /kill, /abort, /segv, /exit; /stream does it after some output."""

import ctypes
import os
import signal


def application(environ, start_response):
    how = environ["PATH_INFO"].strip("/")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "abort":
        os.abort()
    if how == "segv":
        ctypes.string_at(0)
    if how == "exit":
        os._exit(0)
    if how == "stream":
        return stream(start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode("ascii")]


def stream(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"a part of the response\n"
    os.kill(os.getpid(), signal.SIGKILL)
