"""What an interpreter is set up with besides modules and streams: the options
that interpreter_options can give to one application group (mod_wsgi behaviour
1.3). Called when the streams in sys are there and nothing of the application
has run."""

import sys

from wsgid import extensions, restrict


def settle(settings):
    options = settings["interpreter"]
    if "switch_interval" in options:
        sys.setswitchinterval(float(options["switch_interval"]))
    for name in ("stdin", "stdout"):
        if options.get("restrict_" + name) == "1":
            restrict.stream(name)
    # A service process (no request threads) is its script's: signals as well.
    if options.get("restrict_signal", "1") == "1" and settings["threads"] > 0:
        restrict.signals()
    if settings["application_group"]:
        extensions.watch(settings["application_group"], options.get("own_gil") == "1")
