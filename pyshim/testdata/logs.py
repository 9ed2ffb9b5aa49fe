import logging
import sys
import threading
import traceback

logging.basicConfig(level=logging.INFO)


def ok(start_response):
    start_response("200 OK", [])
    return [b"ok"]


def errors(environ, start_response):
    e = environ["wsgi.errors"]
    e.write("one line\n")
    e.write("part")
    e.write("ial\nheld")
    e.flush()
    e.writelines(["w1\n", "w2\n"])
    e.buffer.write(b"bytes \xc3\xa9\n")
    try:
        e.fileno()
        return []
    except OSError:
        pass
    assert (e.encoding, e.errors, e.closed, e.isatty()) == ("utf-8", "replace", False, False)
    e.write("at the end")
    return ok(start_response)


def prints(environ, start_response):
    print("printed", 1, "caf\u00e9 \ud800")
    print("to stderr", file=sys.stderr)
    sys.stdout.write("without end")
    return ok(start_response)


def log_exception(environ, start_response):
    try:
        raise ValueError("logged\nin two lines")
    except ValueError:
        logging.exception("something failed")
    logging.info("an info")
    return ok(start_response)


def print_exc(environ, start_response):
    try:
        {}["missing"]
    except KeyError:
        traceback.print_exc()
    print("after it", file=sys.stderr)
    return ok(start_response)


def thread(environ, start_response):
    def run():
        print("from a thread")
        sys.stdout.write("thread without end")
    t = threading.Thread(target=run)
    t.start()
    t.join()
    return ok(start_response)


def long(environ, start_response):
    environ["wsgi.errors"].write("x" * 200000 + "\n")
    return ok(start_response)
