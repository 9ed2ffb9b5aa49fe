"""os.system, os.fork and multiprocessing in an application: exit statuses, terminate(), and standard input."""

import json
import multiprocessing
import os
import time


def sleeper():
    time.sleep(3600)


def worked():
    """The exit status of a forked child that runs some Python of its own."""
    process = multiprocessing.get_context("fork").Process(target=lambda: os._exit(len([n for n in range(5)])))
    process.start()
    process.join(30)
    return process.exitcode


def application(environ, start_response):
    status = os.system("read line; test -z \"$line\" && exit 7")
    process = multiprocessing.get_context("fork").Process(target=sleeper)
    process.start()
    process.terminate()
    process.join(30)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"status": os.WEXITSTATUS(status), "exitcode": process.exitcode, "worked": worked()}).encode("ascii")]
