"""Each host name has its tenant: the large ones a process group of their own, the small
ones an interpreter of their own in a shared one.

The list is a file that may change at any time, without a reload: lines of a host name, a
process group and an application group.
"""

import os

LIST = "/etc/wsgid/tenants"

read, tenants = None, {}


def tenant(environ):
    global read, tenants
    status = os.stat(LIST)
    now = (status.st_ino, status.st_mtime_ns, status.st_size)
    if now != read:
        with open(LIST) as lines:
            tenants = {host: groups for host, *groups in map(str.split, lines) if len(groups) == 2}
        read = now
    host = environ.get("HTTP_HOST", "").partition(":")[0].lower()
    return tenants.get(host, (None, None))


def process_group(environ):
    return tenant(environ)[0]


def application_group(environ):
    return tenant(environ)[1]
