"""URLs as they may be shown in logs, the API, metrics and errors: without secrets. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

HIDDEN = "***"

_USER = re.compile(r"//[^/?#]*@")
_QUERY = re.compile(r"\?([^#\s'\"]*)")
_PATH_PARAMETER = re.compile(r";([^;=/?#\s'\"]+)=([^;&/?#\s'\"]+)")
_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|auth|key|sig|cred|session|sid$|jwt|hmac|cookie", re.IGNORECASE
)
_RANDOM_TEXT = re.compile(
    r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/=_.~%-]{20,}", re.ASCII
)


def without_secrets(url: str) -> str:
    """The URL with nothing that could be a secret: no user, no value of its query, and of its path
    no parameter (`;jsessionid=...`) with the name or look of one."""
    return _without(url, lambda _name, _value: True)


def without_likely_secrets(url: str) -> str:
    """The URL, or a text that holds some, without a user and without those values of a query
    whose name, or whose look, is that of a secret."""
    return _without(url, _looks_secret)


def _without(url: str, is_secret: Callable[[str, str], bool]) -> str:
    def parameter(text: str) -> str:
        name, equals, value = text.partition("=")
        if not equals:
            name, value = "", name
        if not value or not is_secret(name, value):
            return text
        return f"{name}{equals}{HIDDEN}"

    def query(match: re.Match[str]) -> str:
        parts = re.split("([&;])", match[1])
        return "?" + "".join(part if part in "&;" else parameter(part) for part in parts)

    def path_parameter(match: re.Match[str]) -> str:
        return f";{match[1]}={HIDDEN}" if _looks_secret(match[1], match[2]) else match[0]

    return _PATH_PARAMETER.sub(path_parameter, _QUERY.sub(query, _USER.sub(f"//{HIDDEN}@", url)))


def _looks_secret(name: str, value: str) -> bool:
    return bool(_SECRET_NAME.search(name) or _RANDOM_TEXT.fullmatch(value))
