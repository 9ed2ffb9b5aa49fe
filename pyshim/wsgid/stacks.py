"""Where threads are, for the log and for wsgid stacks."""

import sys
import traceback

# Frames of one thread that are shown, the newest ones.
LIMIT = 100


def of(thread, frame):
    """The stack of a thread as text, empty when it runs no Python; frame is
    where it is, None: look it up."""
    if frame is None:
        frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)).rstrip("\n") if frame is not None else ""


def everything(interpreter):
    """All threads that run Python, in this interpreter at least, but the calling one,
    as docs/internals.md section 2 says."""
    threading = sys.modules.get("threading")
    known = dict(getattr(threading, "_active", ()))
    own = sys._getframe()
    parts = []
    for ident, frame in sys._current_frames().items():
        if frame is own:
            continue
        thread = known.get(ident)
        head = ["ident", str(ident)]
        if thread is not None:  # Python before 3.13 shows those of all interpreters
            head += ["interpreter", interpreter, "name", thread.name, "tid", str(thread.native_id or 0)]
        parts.append("\1" + "\0".join(_plain(word) for word in head) + "\n")
        parts.append("".join(traceback.format_stack(frame, LIMIT)).replace("\1", "?"))
    return "".join(parts)


def _plain(word):
    return "".join(character if character.isprintable() else "?" for character in str(word))
