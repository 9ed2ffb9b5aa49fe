import multiprocessing
import os
import signal
import subprocess
import threading


def ok(start_response, text):
    start_response("200 OK", [])
    return [str(text).encode()]


def child(queue):
    queue.put((signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()))
    signal.pause()


def processes(environ, start_response):
    """A forked child is ended by terminate, as under plain Python."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    p = context.Process(target=child, args=(queue,))
    p.start()
    seen = queue.get()
    p.terminate()
    p.join()
    return ok(start_response, (seen, p.exitcode))


def nothing():
    pass


def known(environ, start_response):
    """A child forked by a thread that the threading module has met ends with status 0."""
    threading.current_thread()
    p = multiprocessing.get_context("fork").Process(target=nothing)
    p.start()
    p.join()
    return ok(start_response, p.exitcode)


def descriptors(environ, start_response):
    """A program that is executed sees none of our descriptors."""
    out = subprocess.run(["/usr/bin/python3", "-c", "import os,sys,signal;print(sorted(os.listdir('/proc/self/fd'))[:-1],"
                          "sys.stdin.read(), signal.getsignal(15) == signal.SIG_DFL,"
                          "signal.getsignal(2) == signal.default_int_handler, signal.getsignal(1) == signal.SIG_DFL)"],
                         stdout=subprocess.PIPE, close_fds=False, check=True).stdout
    return ok(start_response, out.decode().strip())


def falls_out(environ, start_response):
    """A child that returns into the server must not answer."""
    pid = os.fork()
    if pid == 0:
        return ok(start_response, "child")
    _, status = os.waitpid(pid, 0)
    return ok(start_response, "parent %d" % status)


def policy(environ, start_response):
    """A forked child has the ordinary scheduling policy, whatever the server's threads have."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, str(os.sched_getscheduler(0)).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    seen = os.read(read, 16).decode()
    os.close(read)
    return ok(start_response, seen == str(os.SCHED_OTHER))
