"""What applications may use of the server: under the name mod_wsgi (behaviour
section 9), and the same under the name wsgid."""

import importlib.machinery
import sys
import types

from wsgid import events
from wsgid.file_wrapper import FileWrapper
from wsgid.logs import LogHandler

# Version of the mod_wsgi, and of the Apache behind it, whose behaviour is the reference.
VERSION = (6, 0, 5)
APACHE = (2, 4, 71)


class RequestTimeout(BaseException):
    """Ends a request that takes too long: 504. No Exception, so that what an
    application catches of everyday errors does not stop it."""


RequestTimeout.__module__ = "mod_wsgi"


def server_metrics():
    """None: there is no Apache whose scoreboard could be read."""
    return None


def _path_of(name):
    """__path__ of a package of that name on sys.path, which this module hides:
    its submodules can be imported."""
    spec = importlib.machinery.PathFinder.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise AttributeError("module %r has no attribute '__path__'" % name)
    return spec.submodule_search_locations


def _module(name, finder):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, finder, origin="wsgid")
    module.__loader__ = finder

    def look_up(attribute):
        if attribute == "__path__":
            module.__path__ = _path_of(name)
            return module.__path__
        raise AttributeError("module %r has no attribute %r" % (name, attribute))

    module.__getattr__ = look_up
    return module


class _ApacheFinder:
    """Imports the companion module apache, unless there is another of that name."""

    def __init__(self, settings):
        self._settings = settings

    def find_spec(self, name, path=None, target=None):
        if name != "apache" or path is not None:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin="wsgid")

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.version = APACHE
        module.description = "wsgid/" + self._settings["version"]
        module.mpm_name = "wsgid"
        module.build_date = ""
        module.maximum_processes = self._settings["processes"]
        module.threads_per_process = self._settings["threads"]


# What both modules have, but for version.
_public = {
    "FileWrapper": FileWrapper,
    "LogHandler": LogHandler,
    "RequestTimeout": RequestTimeout,
    "event_callbacks": events.event_callbacks,
    "shutdown_callbacks": events.shutdown_callbacks,
    "signal_callbacks": events.signal_callbacks,
    "subscribe_events": events.subscribe_events,
    "subscribe_shutdown": events.subscribe_shutdown,
    "subscribe_signals": events.subscribe_signals,
    "server_metrics": server_metrics,
}
_modules = []


def install(settings, package, finder):
    """Puts mod_wsgi into sys.modules and what it has into the package wsgid.
    What needs the C side comes with connect."""
    module = _module("mod_wsgi", finder)
    module.__doc__ = __doc__
    module.version = VERSION
    sys.modules["mod_wsgi"] = module
    _modules.extend((module, package))
    _publish(_public)
    _publish({
        "process_group": settings["process_group"],
        "application_group": settings["application_group"],
        "maximum_processes": settings["processes"],
        "threads_per_process": settings["threads"],
    })
    sys.meta_path.append(_ApacheFinder(settings))


def _publish(names):
    for module in _modules:
        vars(module).update(names)
    package = _modules[1]
    package.__all__ = sorted(set(package.__all__).union(names))


def connect(native):
    """Adds what the C side gives: called once, before anything of the application."""
    look, process, interval = (native["_" + name] for name in ("active_requests", "process_metrics", "interval_metrics"))

    def process_metrics():
        """What this process has done since its start: a dict."""
        from wsgid import metrics

        return metrics.process(process())

    def request_metrics():
        """What the threads of this process have done since the last call: a
        dict; None without start_recording_metrics()."""
        from wsgid import metrics

        return metrics.interval(interval())

    for function in process_metrics, request_metrics:
        function.__module__ = "mod_wsgi"
        function.__qualname__ = function.__name__
    _publish({
        "request_data": native["request_data"],
        "start_recording_metrics": native["start_recording_metrics"],
        "active_requests": events.ActiveRequests(look),
        "process_metrics": process_metrics,
        "request_metrics": request_metrics,
    })
    LogHandler.connect(sys.stderr.buffer)
