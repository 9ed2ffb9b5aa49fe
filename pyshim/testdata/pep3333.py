"""What PEP 3333 and mod_wsgi say about the objects of a request."""
import ctypes
import gzip
import io
import json
import os
import sys
import tempfile
import warnings
from wsgiref.validate import validator

KEPT = []


def answer(start_response, value):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode("ascii")]


def outcome(call):
    try:
        return call()
    except BaseException as e:
        return type(e).__name__


def streams(environ, start_response):
    e = environ["wsgi.errors"]
    b = e.buffer
    return answer(start_response, {
        "types": [str(type(environ[k])) for k in ("wsgi.input", "wsgi.errors")] + [str(environ["wsgi.file_wrapper"])],
        "real": [type(s) is io.TextIOWrapper for s in (e, sys.stdout, sys.stderr)] + [isinstance(b, io.RawIOBase)],
        "attributes": [e.encoding, e.errors, e.closed, e.name, sys.stdout.name, sys.stderr.name, sys.stdout.mode],
        "questions": [e.isatty(), e.readable(), e.seekable(), e.writable(), b.isatty(), b.readable(), b.seekable(), b.writable(), b.closed],
        "fileno": [outcome(e.fileno), outcome(sys.stderr.fileno)],
        "refused": [outcome(lambda: e.write(b"bytes")), outcome(lambda: b.write(5)), outcome(e.read), outcome(e.seek)],
        "written": [e.write("text\n"), b.write(b"bytes\n"), b.write(bytearray(b"array\n")), b.write(memoryview(b"view\n")), b.writelines([b"l1\n", b"l2\n"]),
                    e.write("\u20ac \ud800\n"), e.writelines(["a", "b\n"])],
    })


def str_into_bytes(environ, start_response):
    b = environ["wsgi.errors"].buffer
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        b.write("first\n")
        b.write("second\n")
        sys.stderr.buffer.write("third\n")
    return answer(start_response, [str(w.category.__name__) for w in caught])


def close_errors(environ, start_response):
    e = environ["wsgi.errors"]
    e.write("held")
    sys.stdout.close()
    print("stdout stays open")
    return answer(start_response, [outcome(e.close), outcome(lambda: e.write("late"))])


def keep_errors(environ, start_response):
    KEPT[:] = [environ["wsgi.errors"], environ["wsgi.errors"].buffer][int(environ["QUERY_STRING"]):]
    del KEPT[1:]
    return answer(start_response, "kept")


def use_kept(environ, start_response):
    """Writes to the stream of a request that is over, while another runs on its thread."""
    kept = KEPT[0]
    text = "stray" if isinstance(kept, io.TextIOBase) else b"stray"
    mine = environ["wsgi.errors"]
    mine.write("mine\n")
    return answer(start_response, [outcome(lambda: kept.write(text)), outcome(kept.flush), kept is mine, kept is mine.buffer, kept.closed])


def environ_keys(environ, start_response):
    names = environ["QUERY_STRING"].split("&")
    return answer(start_response, {n: environ.get(n, "absent") for n in names})


def times_out(environ, start_response):
    import mod_wsgi
    assert issubclass(mod_wsgi.RequestTimeout, BaseException) and not issubclass(mod_wsgi.RequestTimeout, Exception)
    assert mod_wsgi.FileWrapper is environ["wsgi.file_wrapper"]
    if environ["QUERY_STRING"]:
        start_response("200 OK", [])(b"sent")
    raise mod_wsgi.RequestTimeout("gave up")


def empty_first(environ, start_response):
    yield b""
    yield b""
    start_response("200 OK", [("X-Late", "1")])
    yield b"body"


def interleaved(environ, start_response):
    write = start_response("200 OK", [])
    write(b"1")
    yield b"2"
    write(b"3")
    yield b""
    write(b"")
    yield b"4"
    write(b"5")


def reads_slowly(environ, start_response):
    out = []
    for _ in range(2):
        try:
            environ["wsgi.input"].read()
            out.append("complete")
        except OSError as e:
            out.append(str(e))
    return answer(start_response, out)


def writes_for_ever(environ, start_response):
    write = start_response("200 OK", [])
    try:
        while True:
            write(b"x" * 60000)
    except OSError:
        environ["wsgi.errors"].write("nobody takes it\n")
    return []


class Own(object):
    """A file-like object with a descriptor of its own kind."""

    def __init__(self, fileno, tell):
        self.fileno, self.tell = fileno, tell
        self.blocks = [b"iter", b"ated"]

    def read(self, size):
        return self.blocks.pop(0) if self.blocks else b""


def file(environ, start_response):
    """A file of ?size bytes, sent in the way that ?how names."""
    query = dict(p.split("=") for p in environ["QUERY_STRING"].split("&"))
    how, size = query["how"], int(query["size"])
    wrapper = environ["wsgi.file_wrapper"]
    f = tempfile.TemporaryFile()
    pattern = bytes(bytearray(i * 31 % 251 for i in range(1000)))
    f.write(pattern * (size // 1000 + 1))
    f.truncate(size)
    f.seek(int(query.get("at", 0)))
    headers = [("Content-Length", query["length"])] if "length" in query else []
    if how == "closing":
        class Seen(wrapper):
            def close(self):
                environ["wsgi.errors"].write("closed\n")
                wrapper.close(self)
        start_response("200 OK", headers)
        return Seen(f)
    write = start_response("200 OK", headers)
    if how == "plain":
        return wrapper(f, 100)
    if how == "written":
        write(b"w:")
        return wrapper(f)
    if how == "shrinks":
        os.ftruncate(f.fileno(), size)
        KEPT[:] = [f, os.dup(f.fileno())]
        return wrapper(f)
    if how == "sigpipe":
        ctypes.CDLL(None).signal(13, None)  # SIG_DFL: ends the process
        return wrapper(f)
    if how == "gzip":
        raw = io.BytesIO()
        with gzip.GzipFile(fileobj=raw, mode="wb") as z:
            z.write(b"uncompressed " * 1000)
        f = tempfile.TemporaryFile()
        f.write(raw.getvalue())
        f.seek(0)
        return wrapper(gzip.GzipFile(fileobj=f))
    if how == "overridden":
        class Twice(wrapper):
            def __next__(self):
                return wrapper.__next__(self) + b"|"
        return Twice(f, 10)
    if how == "pipe":
        r, w = os.pipe()
        os.write(w, b"from a pipe")
        os.close(w)
        return wrapper(os.fdopen(r, "rb"))
    if how == "closed":
        result = wrapper(f)
        result.close()
        result.close()
        return result
    if how == "odd":
        n = f.fileno()
        KEPT[:] = [f]
        return wrapper(Own(*{"float": (lambda: n, lambda: 1.5), "negative": (lambda: n, lambda: -1),
                             "huge": (lambda: n, lambda: 1 << 70), "text": (lambda: "no", lambda: 0),
                             "none": (lambda: None, lambda: 0), "directory": (lambda: os.open("/", os.O_RDONLY), lambda: 0),
                             "closed": (lambda: 4000, lambda: 0)}[query["kind"]]))
    raise KeyError(how)


def shrink(environ, start_response):
    os.ftruncate(KEPT[1], 0)
    os.close(KEPT[1])
    del KEPT[:]
    return answer(start_response, "shrunk")


def streamed(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])

    def body():
        for line in environ["wsgi.input"]:
            yield line
        environ["wsgi.errors"].writelines(["validated ", "stream\n"])
        yield b"end"
    return body()


valid_stream = validator(streamed)
