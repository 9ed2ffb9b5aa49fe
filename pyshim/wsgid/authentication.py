"""What scripts that authenticate or control access find in their environ besides
the request's own variables (mod_wsgi behaviour 5.2)."""

from wsgid import compat


class _Connection:
    """The client's TLS connection, as far as the front server tells of it."""

    def __init__(self, variables):
        self._variables = variables

    def is_https(self):
        """1 when the client came over TLS, else 0."""
        return int(self._variables.get("HTTPS", "").lower() in ("on", "1", "true"))

    def var_lookup(self, name):
        """The SSL_ variable of that name, None when the front server sent none."""
        if isinstance(name, bytes):
            name = name.decode("latin-1")
        if not isinstance(name, str):
            raise TypeError("the name of a variable is a str, not %s" % type(name).__name__)
        return self._variables.get(name)


def complete(environ, variables):
    """Adds what is no variable of the request. variables are those of TLS."""
    connection = _Connection(variables)
    environ["mod_wsgi.version"] = compat.VERSION
    environ["mod_ssl.is_https"] = connection.is_https
    environ["mod_ssl.var_lookup"] = connection.var_lookup
