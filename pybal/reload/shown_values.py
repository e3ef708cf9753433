"""A value of the configuration as people write it, for the words of a reload's steps. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

from pybal.config.bgp_report import bandwidth, communities
from pybal.config.ipvs_report import flag_words, tunnel_words
from pybal.config.settings import ControlSettings
from pybal.config.source_url import source_url
from pybal.reload.keys import Key
from pybal.runtime.naming import shortened

_MAX_SHOWN = 60


def shown(value: object, key: Key, differing: Collection[str]) -> str:
    """As people write it, shortened; of several values those that differ. No secret is ever
    shown."""
    if key.secret:
        return "none" if value is None else "***"
    if value is None and key.names[0] in _SWITCHES:
        return "no"
    form = None if value is None else _FORMS.get(key.names[0])
    return shortened(_text(value, differing) if form is None else form(value), _MAX_SHOWN)


def option_shown(name: str, before: object, after: object) -> tuple[str, str]:
    """Both values of a monitor's option; one that is no number may hold a secret."""
    if all(isinstance(value, bool | int | float | None) for value in (before, after)):
        return _named_field(name, before), _named_field(name, after)
    return f"{name.replace('_', ' ')} ***", "***"


def _control(control: ControlSettings) -> str:
    return str(control) if control.asked_for else f"{control}, by default"


_SWITCHES = frozenset(("control-socket", "instrumentation", "isolation"))
"""Keys that may be off."""

_FORMS: dict[str, Callable[[Any], str]] = {
    "config": source_url,
    "control-socket": _control,
    "bgp-communities": lambda classic: communities(classic, ()),
    "bgp-large-communities": lambda large: communities((), large),
    "bgp-extended-communities": lambda extended: communities((), (), extended),
    "bgp-link-bandwidth": bandwidth,
    "bgp-families": lambda families: " ".join(f"ipv{version}" for version in families),
    "runcommand-user": lambda user: str(user.name),
    "scheduler-flags": flag_words,
    "tunnel-type": tunnel_words,
}
"""Values that the configuration writes in a way of their own."""


def _text(value: object, differing: Collection[str] = ()) -> str:
    match value:
        case None | "":
            return "unset"
        case bool():
            return "yes" if value else "no"
        case Fraction():
            return f"{float(value):g}"
        case float():
            return f"{value:.15g}"
        case Enum():
            return str(value.value).lower() if isinstance(value.value, str) else value.name.lower()
        case tuple():
            return f"[{' '.join(map(_text, value))}]"
    if is_dataclass(value):
        names = [each.name for each in fields(value) if not differing or each.name in differing]
        return ", ".join(_named_field(name, getattr(value, name)) for name in names)
    return str(value)


def _named_field(name: str, value: object) -> str:
    """`hold 120 s` of hold_s."""
    for end, unit in (("_s", " s"), ("_bytes", " bytes"), ("_ms", " ms")):
        if name.endswith(end):
            name, text = name.removesuffix(end), _text(value)
            return f"{name.replace('_', ' ')} {text}{'' if value is None else unit}"
    return f"{name.replace('_', ' ')} {_text(value)}"
