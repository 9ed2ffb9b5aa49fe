"""Takes every descriptor number below 1500, so that all that come later are above."""

import os
import resource

taken = []


def application(environ, start_response):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, hard))
    while not taken or taken[-1] < 1500:
        taken.append(os.open("/dev/null", os.O_RDONLY))
    start_response("200 OK", [])
    return [b"taken"]
