"""Runs a loader script the way a worker does and checks what it promises."""

import os
import sys
import time
import types

loader, root = sys.argv[1:]
sys.path.insert(0, root)
clock = [1000.0]
time.monotonic = lambda: clock[0]


def load():
    module = types.ModuleType("_mod_wsgi_loader")
    module.__file__ = loader
    sys.modules[module.__name__] = module
    with open(loader) as source:
        try:
            exec(compile(source.read(), loader, "exec"), module.__dict__)
        except BaseException:
            del sys.modules[module.__name__]
            raise
    return module


def change(name, text, stamp):
    path = os.path.join(root, "project", name)
    with open(path, "w") as out:
        out.write(text)
    os.utime(path, (stamp, stamp))


module = load()
assert module.application == 1, module.application
clock[0] += 2
assert not module.reload_required(loader), "nothing has changed"
change("helper.py", "VALUE = 2\n", 1000000000)
assert not module.reload_required(loader), "looked again within a second"
clock[0] += 2
assert module.reload_required(loader), "a change was not seen"
assert module.reload_required(loader), "a change was forgotten"

# A new process, in which the project is broken at first.
for name in [name for name in sys.modules if name.startswith("project")]:
    del sys.modules[name]
change("wsgi.py", "from project import helper\nraise RuntimeError('broken')\n", 1000000001)
try:
    load()
except RuntimeError:
    pass
else:
    raise AssertionError("a broken project was loaded")
change("helper.py", "VALUE = 3\n", 1000000002)
change("wsgi.py", "from project import helper\nclass factory:\n    app = helper.VALUE\n", 1000000003)
assert load().application == 3
print("ok")
