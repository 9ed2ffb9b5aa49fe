"""sys.path as the options python_path and home want it (mod_wsgi behaviour 2.1)."""

import site
import sys


def prepare(directories, home):
    """Adds directories with their .pth files and moves what is new to the
    front, order kept; home goes before everything."""
    before = list(sys.path)
    for directory in directories:
        try:
            site.addsitedir(directory)
        except Exception as error:  # one failing entry stops the rest
            sys.stderr.write("wsgid: python_path %s: %s\n" % (directory, error))
            break
    # addsitedir leaves out what is there already and may come twice from .pth files
    new = [entry for entry in sys.path if entry not in before]
    sys.path[:] = new + [entry for entry in sys.path if entry not in new]
    if home:
        sys.path.insert(0, home)
