"""Who keeps descriptors when this process ends: the service manager's store (sd_notify(3)).

The manager holds a copy of each, so that to close ours does not close the connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pybal.runtime.service_manager import send

MAX_AT_ONCE = 253
"""SCM_MAX_FD of the kernel."""


class DescriptorStore(Protocol):
    """Keeps descriptors by name for the next process."""

    def keep(self, name: str, descriptors: Sequence[int]) -> bool:
        """Keep copies of these; whether that has been asked for."""

    def forget(self, name: str) -> None:
        """Close the copies that have this name."""


class ManagerStore:
    """That of the service manager, at the address of its socket."""

    def __init__(self, address: str) -> None:
        self._address = address

    def keep(self, name: str, descriptors: Sequence[int]) -> bool:
        """See DescriptorStore."""
        return send(self._address, f"FDSTORE=1\nFDNAME={name}", descriptors)

    def forget(self, name: str) -> None:
        """See DescriptorStore."""
        send(self._address, f"FDSTOREREMOVE=1\nFDNAME={name}")


def manager_store(environment: Mapping[str, str]) -> ManagerStore | None:
    """The manager's, if it has one for us: FDSTORE says how many it keeps. systemd 254 and later
    say so themselves, for older ones the unit does."""
    address, most = environment.get("NOTIFY_SOCKET", ""), environment.get("FDSTORE", "")
    if not address or not (most.isascii() and most.isdigit()) or int(most[:9]) == 0:
        return None
    return ManagerStore(address)
