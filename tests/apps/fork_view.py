"""os.system and multiprocessing in an application: exit statuses, terminate(), and standard input."""

import json
import multiprocessing
import os
import time


def sleeper():
    time.sleep(3600)


def application(environ, start_response):
    status = os.system("read line; test -z \"$line\" && exit 7")
    process = multiprocessing.get_context("fork").Process(target=sleeper)
    process.start()
    process.terminate()
    process.join(30)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"status": os.WEXITSTATUS(status), "exitcode": process.exitcode}).encode("ascii")]
