"""The Python side of wsgid: executed in each interpreter before anything of
the application. It is not on disk: the process was handed its source in memory
(``__sources__``) together with what it must know (``__settings__``).

Public is what ``__all__`` names: docs/applications.md."""

import importlib.abc
import importlib.machinery
import sys


class DispatchTimeout(BaseException):
    """Raised in a dispatch script that runs longer than its timeout."""


DispatchTimeout.__module__ = "wsgid"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports wsgid.* from the sources in memory."""

    def find_spec(self, name, path=None, target=None):
        if name in __sources__ and name != __name__:
            return importlib.machinery.ModuleSpec(name, self, origin=self._file(name))
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__spec__.name
        exec(compile(__sources__[name], self._file(name), "exec"), module.__dict__)

    def get_source(self, name):
        """For tracebacks and inspect."""
        return __sources__[name].decode("utf-8")

    @staticmethod
    def _file(name):
        return "<wsgid>/" + name.partition(".")[2].replace(".", "/") + ".py"


__sources__ = dict(__sources__)
__all__ = ["DispatchTimeout", "version"]
version = __settings__["version"]
_finder = _Finder()
__spec__ = importlib.machinery.ModuleSpec(__name__, _finder, origin="<wsgid>/__init__.py", is_package=True)
__loader__ = _finder
sys.meta_path.insert(0, _finder)


def _log(level, text, code=""):
    """Writes one record to the server's log, as of the request that this thread
    serves; level is error, warn, info or debug."""
    __log__(level, text.encode("utf-8", "replace"), code)


from wsgid import compat, forks, path  # noqa: E402  (needs the finder)

sys.argv = ["mod_wsgi"]
path.prepare(__settings__["python_path"], __settings__["home"])
forks.install()
compat.install(__settings__, sys.modules[__name__], _finder)
