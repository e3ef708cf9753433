"""The descriptors that a process begins with: sd_listen_fds_with_names(3)."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

FIRST_DESCRIPTOR = 3
NUMBERS = "PYBAL_LISTEN_NUMBERS"
"""Where they are, if they are not one after the other (own_store.py)."""
_MOST = 65536


def take_descriptors(
    environment: MutableMapping[str, str], process_id: int
) -> dict[str, list[int]]:
    """By name, those that were handed to this process; its children get none of them, nor are they
    told of any. Several may have the same name. Nonsense counts as none."""
    said_pid = environment.pop("LISTEN_PID", "")
    count = _number(environment.pop("LISTEN_FDS", ""))
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    environment.pop("LISTEN_PIDFDID", None)
    numbers = environment.pop(NUMBERS, "")
    found: dict[str, list[int]] = {}
    if said_pid != str(process_id):
        return found
    places = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + count)
    for index, descriptor in enumerate(map(_number, numbers.split(":")) if numbers else places):
        if not descriptor >= FIRST_DESCRIPTOR or index >= count:
            continue
        try:
            os.set_inheritable(descriptor, False)
        except OSError:
            continue
        name = names[index] if index < len(names) else ""
        found.setdefault(name, []).append(descriptor)
    return found


def _number(text: str) -> int:
    good = text.isascii() and text.isdigit() and len(text) < 7
    return min(int(text), _MOST) if good else 0
