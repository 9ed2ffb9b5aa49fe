"""The dispatch script of the benchmark: a decision by the live request."""


def process_group(environ):
    if environ["REQUEST_URI"].startswith("/none/"):
        return None
    return "bench"
