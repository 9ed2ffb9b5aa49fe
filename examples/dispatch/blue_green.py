"""Two releases are set up, "blue" and "green", and a file names the one that is live.

To switch, write the other name beside the file and rename it: each request sees the one or
the other. What runs goes on where it is. The other one can be tried before, with the
header X-Release from the addresses of the developers.
"""

LIVE = "/etc/wsgid/live"
RELEASES = ("blue", "green")
DEVELOPERS = ("127.0.0.1", "192.0.2.7")


def process_group(environ):
    wanted = environ.get("HTTP_X_RELEASE")
    if wanted in RELEASES and environ.get("REMOTE_ADDR") in DEVELOPERS:
        return wanted
    with open(LIVE) as file:
        return file.read().strip()
