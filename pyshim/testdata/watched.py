"""An application whose own descriptors come and go beside those of the server."""
import os
import sqlite3
import subprocess
import tempfile


def ok(start_response, text):
    start_response("200 OK", [])
    return [str(text).encode()]


def count(environ, start_response):
    """One transaction with a rollback journal: a file made, locked and removed."""
    with tempfile.TemporaryFile() as file:
        file.write(environ["wsgi.input"].read())
        connection = sqlite3.connect(os.path.join(environ["QUERY_STRING"], "count.sqlite3"), timeout=60)
        try:
            with connection:
                connection.execute("UPDATE visits SET number = number + 1")
        finally:
            connection.close()
        file.seek(0)
        return ok(start_response, len(file.read()))


def table(environ, start_response):
    connection = sqlite3.connect(os.path.join(environ["QUERY_STRING"], "count.sqlite3"))
    with connection:
        connection.execute("CREATE TABLE visits (number INTEGER)")
        connection.execute("INSERT INTO visits VALUES (0)")
    connection.close()
    return ok(start_response, "made")


def number(environ, start_response):
    connection = sqlite3.connect(os.path.join(environ["QUERY_STRING"], "count.sqlite3"))
    (value,), = connection.execute("SELECT number FROM visits")
    (sound,), = connection.execute("PRAGMA integrity_check")
    connection.close()
    return ok(start_response, "%d %s" % (value, sound))


def raises(environ, start_response):
    read, write = os.pipe()
    try:
        raise ValueError(environ["wsgi.input"].read())
    finally:
        os.close(read)
        os.close(write)


def forks(environ, start_response):
    """A child that closes everything, as a daemon does, and one that is executed."""
    pid = os.fork()
    if pid == 0:
        os.closerange(3, 256)
        os._exit(0)
    os.waitpid(pid, 0)
    out = subprocess.run(["/bin/echo", "said"], stdout=subprocess.PIPE, check=True, preexec_fn=os.getpid).stdout
    return ok(start_response, out.decode().strip())


def endless(environ, start_response):
    """Goes on until the router has gone."""
    start_response("200 OK", [])
    while True:
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 100000)
            file.seek(0)
            yield file.read()
