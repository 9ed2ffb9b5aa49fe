"""The module mod_wsgi, for applications that look at it (mod_wsgi behaviour 9)."""

import sys
import types

# Version of the mod_wsgi whose behaviour this module has.
VERSION = (6, 0, 5)


def install(settings):
    """Puts mod_wsgi into sys.modules; returns it."""
    module = types.ModuleType("mod_wsgi", __doc__)
    module.version = VERSION
    module.process_group = settings["process_group"]
    module.application_group = settings["application_group"]
    module.maximum_processes = settings["processes"]
    module.threads_per_process = settings["threads"]
    sys.modules["mod_wsgi"] = module
    return module
