"""Says which process of which group answered, and as whom it runs."""

import os
import pwd


def user():
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "#%d" % os.geteuid()


def application(environ, start_response):
    lines = [
        "group: %s" % environ["mod_wsgi.process_group"],
        "pid: %d" % os.getpid(),
        "uid: %d" % os.geteuid(),
        "user: %s" % user(),
        "url: %s%s" % (environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")),
    ]
    body = ("\n".join(lines) + "\n").encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
