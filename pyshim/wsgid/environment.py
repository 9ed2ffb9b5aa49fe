"""os.environ of an interpreter: what the process was started with.

A change that one interpreter makes reaches the environment of the process,
and Python would hand it to every interpreter that is made later. The main
interpreter takes the state at its start; the others begin with that.
"""

import os


def take(before):
    """Takes the variables out that existed only while Python was initialised
    (before: what each was before, or None), and returns the state at the start."""
    variables = os.environ._data
    for name, value in before.items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    return b"\0".join(name + b"=" + value for name, value in variables.items())


def begin(state):
    """Makes os.environ what take returned in the main interpreter. A dictionary
    of its own: Python up to 3.9 shares one between interpreters."""
    pairs = (entry.partition(b"=") for entry in state.split(b"\0") if entry)
    os.environ._data = {name: value for name, _, value in pairs}
    if hasattr(os, "environb"):
        os.environb._data = os.environ._data
