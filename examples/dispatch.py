"""Which process group serves a request: asked for each one.

A string overrides what the configuration says, None leaves it. The functions
application_group(environ) and callable_object(environ) work the same way.
"""


def process_group(environ):
    path = environ.get("REQUEST_URI", "/")
    if path.startswith("/admin/"):
        return "admin"
    if path.startswith("/api/"):
        return "api"
    return None  # leaves the static decision: "web"
