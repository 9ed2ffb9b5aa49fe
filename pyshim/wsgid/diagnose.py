"""Why an application could not be imported, as far as it can be told: the usual
causes, each with what to do. Used by wsgid check --apps, in a process that runs
as the group's user, so that what it may not read shows.
"""

import os
import re
import stat
import sys

from wsgid import extensions

try:
    import pwd
except ImportError:  # not on every system
    pwd = None

_LIBRARY = re.compile(r"(\S+\.so[.\d]*): cannot open shared object file")
_SITE = ("site-packages", "dist-packages")


def hints(error, script, python_path):
    """Sentences about an exception: probable causes first. error may be None
    (the script is not there)."""
    found = []
    blocked, unfit = blocked_by(script), extensions.explain(error)
    if blocked:
        found.append(blocked)
    elif unfit:
        found.append(unfit)
    elif isinstance(error, ImportError):
        found.extend(_import_hints(error, script, python_path))
    if error is not None and "DJANGO_SETTINGS_MODULE" in str(error):
        found.append("Django has no settings: environment = { DJANGO_SETTINGS_MODULE = \"project.settings\" } in the "
                     "daemon_process, or os.environ.setdefault in the script before Django is imported")
    return found


def warnings(python_path):
    """Sentences about settings that look wrong although everything imports."""
    return [_site_packages(entry) for entry in python_path if os.path.basename(entry.rstrip("/")) in _SITE]


def blocked_by(path):
    """A sentence that names the first component of a path which this user may
    not pass or read; None when there is none."""
    path = os.path.realpath(path)
    current = "/"
    for part in path.split("/")[1:]:
        if not os.access(current, os.X_OK):
            return "user %s may not enter the directory %s (%s), so that %s cannot be read: chmod o+x %s, or put the " \
                   "user into its group" % (_user(), current, _owner(current), path, current)
        current = os.path.join(current, part)
        if not os.path.lexists(current):
            return None
    if os.path.isdir(current):
        wanted, what = os.R_OK | os.X_OK, "list the directory"
    else:
        wanted, what = os.R_OK, "read the file"
    if os.access(current, wanted):
        return None
    return "user %s may not %s %s (%s)" % (_user(), what, current, _owner(current))


def _import_hints(error, script, python_path):
    """Of an ImportError."""
    library = _LIBRARY.search(str(error))
    if library:
        yield "the shared library %s is missing on this machine: install the package that has it" % library.group(1)
        return
    if "undefined symbol" in str(error) or "wrong ELF class" in str(error):
        yield "the extension module was built for another Python than %s" % sys.version.split()[0]
        return
    site = [entry for entry in python_path if os.path.basename(entry.rstrip("/")) in _SITE]
    for entry in python_path + [path for path in sys.path if path not in python_path]:
        blocked = blocked_by(entry) if entry and os.path.isabs(entry) else None
        if blocked:
            yield blocked
    for entry in site:
        yield _site_packages(entry)
    name = error.name.partition(".")[0] if isinstance(error, ModuleNotFoundError) and error.name else None
    if name is None:
        return
    if error.name.partition(".")[0] != error.name and name in sys.modules:
        yield "%s was imported from %s: is that the one which is meant?" % (name, _place(sys.modules[name]))
        return
    beside = _beside(name, script)
    if beside:
        yield "%s is in %s, but the directory of a script is not searched: python_path = [\"%s\"] in the " \
              "daemon_process (or home = \"%s\")" % (name, beside, beside, beside)
    elif not site and sys.prefix == sys.base_prefix:
        yield "%s is not installed for %s; if it is in a virtual environment, give its prefix: python_home = \"/path/of/venv\" " \
              "in the daemon_process" % (name, sys.executable)
    elif not site:
        yield "%s is not installed in the virtual environment %s: %s/bin/python -m pip install …" % (name, sys.prefix, sys.prefix)


def _site_packages(entry):
    """python_path that should be python_home."""
    sentence = "python_path holds %s: give python_home instead, the prefix of the virtual environment or Python " \
               "that it belongs to" % entry
    prefix = os.path.dirname(os.path.dirname(os.path.dirname(entry.rstrip("/"))))
    if os.access(os.path.join(prefix, "bin", "python"), os.X_OK):
        sentence += ": python_home = \"%s\"" % prefix
    found = re.search(r"/python(3\.\d+)t?/", entry)
    mine = "%d.%d" % sys.version_info[:2]
    if found and found.group(1) != mine:
        sentence += "; it is of Python %s, this is Python %s" % (found.group(1), mine)
    return sentence


def _beside(name, script):
    """The directory at or above the script's that holds a module or package."""
    directory = os.path.dirname(script)
    for _ in range(4):
        for entry in (name, name + ".py"):
            path = os.path.join(directory, entry)
            if os.path.isfile(path) if entry.endswith(".py") else os.path.isdir(path):
                return directory
        if directory in ("/", ""):
            break
        directory = os.path.dirname(directory)
    return None


def _place(module):
    return getattr(module, "__file__", None) or "a namespace package at %s" % list(getattr(module, "__path__", ["?"]))


def _user():
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, AttributeError):
        return "#%d" % uid


def _owner(path):
    """Owner and mode of a file for people."""
    try:
        info = os.stat(path)
    except OSError as error:
        return error.strerror
    try:
        owner = pwd.getpwuid(info.st_uid).pw_name
    except (KeyError, AttributeError):
        owner = "#%d" % info.st_uid
    return "%s of %s" % (stat.filemode(info.st_mode), owner)
