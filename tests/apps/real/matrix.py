"""Processes, threads, signals and exits in an application, on any Python: one URL each, answered in JSON."""

import atexit
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import matrix_helper

MARKS = os.environ["MARKS"]


def mark(name):
    with open(os.path.join(MARKS, "%s-%d" % (name, os.getpid())), "a") as file:
        file.write("x")


def tick():
    while True:
        sum(range(1000))
        time.sleep(0.001)


atexit.register(mark, "atexit")
# One that wakes up often and one that sleeps when the interpreter ends.
threading.Thread(target=tick, daemon=True).start()
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def by_context(name):
    """A process, a queue and a pool of a start method."""
    context = multiprocessing.get_context(name)
    queue = context.Queue()
    process = context.Process(target=matrix_helper.whoami, args=(queue,))
    process.start()
    pid, prefix, uid = queue.get(timeout=120)
    process.join(60)
    with context.Pool(2) as pool:
        squares = pool.map(matrix_helper.square, range(10))
    return {"own": pid == process.pid, "prefix": prefix, "uid": uid, "exitcode": process.exitcode, "squares": squares}


def program():
    out = subprocess.run([sys.executable, "-c", "import sys, os; print(sys.prefix, os.getuid(), sys.stdin.read() == '')"],
                         stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode().split()
    return {"prefix": out[0], "uid": int(out[1]), "stdin_empty": out[2]}


def forked():
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, json.dumps([n * n for n in range(5)]).encode())
        os._exit(5)
    os.close(writing)
    said = os.read(reading, 100).decode()
    os.close(reading)
    return {"said": json.loads(said), "status": os.WEXITSTATUS(os.waitpid(pid, 0)[1])}


def killed():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    child.send_signal(signal.SIGTERM)
    return {"returncode": child.wait(60)}


def threads():
    local = threading.local()
    with ThreadPoolExecutor(8) as pool:
        total = sum(pool.map(matrix_helper.square, range(1000)))
    thread = threading.Thread(target=lambda: setattr(local, "x", 1))
    thread.start()
    thread.join()
    return {"total": total, "local": hasattr(local, "x")}


ACTIONS = {
    "/fork": lambda: by_context("fork"), "/spawn": lambda: by_context("spawn"),
    "/forkserver": lambda: by_context("forkserver"), "/program": program, "/os.fork": forked, "/killed": killed,
    "/threads": threads,
}


def application(environ, start_response):
    body = json.dumps(ACTIONS[environ["PATH_INFO"]]()).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
