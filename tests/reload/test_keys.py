"""The table of what a reload touches knows every key, and each key once."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from pybal.config.settings import (
    BGPPeerOptions,
    BGPSettings,
    ServiceBGP,
    ServiceSettings,
    Settings,
)
from pybal.ipvs.options import KernelOptions, ServiceOptions
from pybal.ipvs.settings import IPVSSettings
from pybal.reload.keys import (
    BGP_KEYS,
    GLOBAL_KEYS,
    ONE_PEER_KEYS,
    PEER_KEYS,
    SERVICE_KEYS,
    SWITCHES,
    Key,
)

EXAMPLE = Path(__file__).parents[2] / "etc/pybal.conf"
IN_GLOBAL = (*GLOBAL_KEYS, *BGP_KEYS, *PEER_KEYS, *SWITCHES)
NESTED = (IPVSSettings, ServiceBGP, ServiceOptions, KernelOptions)
"""Settings within settings, whose fields are compared one by one."""


def leaves(settings: type[Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    hints = get_type_hints(settings)
    for field in fields(settings):
        if is_dataclass(hints[field.name]) and hints[field.name] in NESTED:
            found |= leaves(hints[field.name], f"{prefix}{field.name}.")
        else:
            found.add(prefix + field.name)
    return found


@pytest.mark.parametrize(
    ("settings", "keys", "not_compared_by_key"),
    [
        (Settings, GLOBAL_KEYS, {"bgp", "services"}),
        (BGPSettings, BGP_KEYS, {"peers", "groups", "interface_peers"}),
        (BGPPeerOptions, (*PEER_KEYS, *ONE_PEER_KEYS), set()),
        (ServiceSettings, SERVICE_KEYS, {"name"}),
    ],
)
def test_every_field_of_the_settings_is_in_the_table(
    settings: type[Any], keys: tuple[Key, ...], not_compared_by_key: set[str]
) -> None:
    assert {key.field for key in keys} == leaves(settings) - not_compared_by_key


def documented() -> tuple[set[str], set[str]]:
    """The keys of [global] and of a service in etc/pybal.conf, a monitor's options left out."""
    text = EXAMPLE.read_text("utf-8")
    general, services = re.split(r"^\[web_80\]$", text, flags=re.M)
    key = re.compile(r"^#?([a-z][\w.-]*) =", re.M)
    return set(key.findall(general)), {k for k in key.findall(services) if "." not in k}


def test_every_documented_key_belongs_to_exactly_one_class() -> None:
    general, services = documented()
    assert len(general) > 40
    assert len(services) > 20
    for wanted, keys in ((general, IN_GLOBAL), (services, SERVICE_KEYS)):
        names = [name for key in keys for name in key.names]
        assert len(names) == len(set(names))
        assert set(names) == wanted


def test_passwords_are_never_shown_and_all_else_is() -> None:
    secret = {name for key in (*IN_GLOBAL, *ONE_PEER_KEYS, *SERVICE_KEYS) if key.secret
              for name in key.names}  # fmt: skip
    passwords = {"bgp-password", "bgp-bfd-password"}
    assert secret == passwords | {f"{name}-file" for name in passwords}
