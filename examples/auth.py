"""Users with passwords and groups, from the file "users" beside this script.

    python3 auth.py alice staff,admins >>users

asks for a password on standard input and prints a line of that file. Declared
by auth_user_script and auth_group_script, see docs/authentication.md.
"""

import base64
import hashlib
import hmac
import os
import sys

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "users")


def digest(password, salt):
    return base64.b64encode(hashlib.scrypt(password, salt=salt, n=2**14, r=8, p=1)).decode("ascii")


def users():
    with open(FILE, encoding="latin-1") as lines:
        return {fields[0]: fields[1:] for fields in (line.rstrip("\n").split(":") for line in lines) if len(fields) == 4}


def check_password(environ, user, password):
    entry = users().get(user)
    if entry is None:
        return None
    salt, expected, _ = entry
    return hmac.compare_digest(digest(password.encode("latin-1"), bytes.fromhex(salt)), expected)


def groups_for_user(environ, user):
    entry = users().get(user)
    return entry[2].split(",") if entry else []


def allow_access(environ, host):
    return None  # the password decides


if __name__ == "__main__":
    salt = os.urandom(16)
    password = sys.stdin.buffer.readline().rstrip(b"\n")
    print(":".join((sys.argv[1], salt.hex(), digest(password, salt), sys.argv[2])))
