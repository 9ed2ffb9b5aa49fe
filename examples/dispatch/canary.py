"""A new release in a group of its own, "canary", for those who ask for it and for some
of all others.

The cookie or header "canary" with yes or no decides; without it a share of the clients,
always the same ones.
"""

import zlib
from http.cookies import CookieError, SimpleCookie

SHARE = 5  # of a hundred


def wish(environ):
    if "HTTP_X_CANARY" in environ:
        return environ["HTTP_X_CANARY"]
    try:
        return SimpleCookie(environ.get("HTTP_COOKIE", ""))["canary"].value
    except (CookieError, KeyError):
        return None


def process_group(environ):
    wanted = wish(environ)
    if wanted in ("yes", "no"):
        return "canary" if wanted == "yes" else None
    client = environ.get("REMOTE_USER") or environ.get("REMOTE_ADDR", "")
    return "canary" if zlib.crc32(client.encode("latin-1")) % 100 < SHARE else None
