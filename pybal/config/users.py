"""Users and groups of this host, by name."""

from __future__ import annotations

import grp
import pwd

from pybal.config.bad_value import BadValueError
from pybal.config.kinds import Kind
from pybal.config.settings import User


def _user(text: str) -> User:
    try:
        found = pwd.getpwnam(text)
    except (KeyError, ValueError):
        raise BadValueError("this host has none of that name") from None
    return User(found.pw_name, found.pw_uid, found.pw_gid)


def is_group(name: str) -> bool:
    """Whether there is one of that name."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


USER = Kind("the name of a user", _user)
