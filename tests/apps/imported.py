"""Says in the file imported.log of the directory STATE that it is imported: when, where and by whom.

As an application it answers with the pid and how often its module was imported there.
"""

import os
import threading

import mod_wsgi

times = 0
times += 1


def say():
    path = os.path.join(os.environ["STATE"], "imported.log") if "STATE" in os.environ else __file__ + ".log"
    line = "%d %s %s %s\n" % (os.getpid(), os.path.basename(__file__), mod_wsgi.application_group or "main",
                              threading.current_thread() is threading.main_thread())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(descriptor, line.encode("ascii"))
    os.close(descriptor)


say()


def application(environ, start_response):
    body = b"%d %d" % (os.getpid(), times)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
