"""Requests that only read go to the group "readers", whose application is set up with a
replica of the database; all others stay where they are.

Who has just written must see it: the application sets the cookie "wrote", with a lifetime
longer than the replica lags, and such clients stay as well.
"""

READS = ("GET", "HEAD", "OPTIONS")
WRITES = ("/admin/", "/accounts/logout")  # which write with GET


def process_group(environ):
    if environ["REQUEST_METHOD"] not in READS or environ["PATH_INFO"].startswith(WRITES):
        return None
    if "wrote=" in environ.get("HTTP_COOKIE", ""):
        return None
    return "readers"
