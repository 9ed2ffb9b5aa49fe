"""Scripts of the authentication tests in one: users, groups and hosts. Every call
is told in the log, without the password."""

import hashlib
import json

ANSWERS = {
    "none": None, "empty": "", "one": 1, "zero": 0, "bytes": b"alice", "other": "somebody else", "umlaut": "\u00e4nne",
    "line": "two\nlines",
}
GROUPS = {
    "alice": ["Staff", b"admins"], "bob": ["guests"], "none": None, "number": ["staff", 1], "text": "staff", "empty": [],
}


def tell(function, environ, **what):
    what.update(function=function, script_name=environ["SCRIPT_NAME"], path_info=environ["PATH_INFO"], uri=environ["REQUEST_URI"])
    environ["wsgi.errors"].write("asked " + json.dumps(what, sort_keys=True) + "\n")


def check_password(environ, user, password):
    tell("check_password", environ, user=user)
    if user == "environ":
        shown = {key: value if isinstance(value, (str, tuple)) else type(value).__name__ for key, value in environ.items()}
        environ["wsgi.errors"].write("environ " + json.dumps(shown, sort_keys=True) + "\n")
        tell("environ", environ, is_https=environ["mod_ssl.is_https"](), protocol=environ["mod_ssl.var_lookup"]("SSL_PROTOCOL"))
    if user == "raises":
        raise ValueError("the password of %s is not %r, nor %s" % (user, password, password))
    if user in ANSWERS:
        return ANSWERS[user]
    if user == "tuple":
        return user, password
    return password == "secret of " + user


def get_realm_hash(environ, user, realm):
    tell("get_realm_hash", environ, user=user, realm=realm)
    if user == "none":
        return None
    if user == "raises":
        raise ValueError(user)
    digest = hashlib.md5("{0}:{1}:secret of {0}".format(user, realm).encode("latin-1")).hexdigest()
    if user == "bytes":
        return digest.encode("ascii")
    return False if user == "false" else digest


def groups_for_user(environ, user):
    tell("groups_for_user", environ, user=user)
    if user == "raises":
        raise ValueError(user)
    return GROUPS.get(user, [])


def allow_access(environ, host):
    tell("allow_access", environ, host=host)
    answer = environ["QUERY_STRING"]
    if answer == "raises":
        raise ValueError(host)
    return {"true": True, "false": False, "none": None, "one": 1, "text": "yes"}.get(answer, True)
