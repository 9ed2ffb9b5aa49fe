"""Where threads are, for the log."""

import sys
import traceback


def of(thread, frame):
    """The stack of a thread as text, empty when it runs no Python; frame is
    where it is, None: look it up."""
    if frame is None:
        frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)).rstrip("\n") if frame is not None else ""
