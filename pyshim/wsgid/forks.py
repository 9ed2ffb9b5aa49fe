"""A child that the application forks ends as one of plain Python does."""

import os
import sys
import threading


def install():
    """Has a forked child mend what Python 3.9 to 3.12 get wrong where the thread
    that forked was not made by the threading module, as those of a server are:
    the object that stands for it becomes the child's main thread without the
    lock that threading._shutdown then asks for, and multiprocessing turns the
    AssertionError into exit status 1 without a word."""
    if (3, 9) <= sys.version_info < (3, 13):
        # threading's own function comes first: it is imported.
        os.register_at_fork(after_in_child=_mend)


def _mend():
    main = threading.main_thread()
    if isinstance(main, threading._DummyThread) and main._tstate_lock is None:
        main._set_tstate_lock()
