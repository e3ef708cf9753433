"""The last known addresses of names on disk, for a start while DNS is away.

Without them a restart then would know the address of no server, and take all out of IPVS.
"""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from pybal.model import IPAddress
from pybal.net.addresses import parse_address, why_unusable
from pybal.state.state_file import (
    Document,
    StateFile,
    StateFileError,
    WriteBehind,
    load_or_warn,
)
from pybal.state.state_writing import StateWriting

FILE_NAME = "addresses.json"
SAVE_AFTER_S = 10.0
"""A change is on disk after this time, with those that came meanwhile."""

MAX_ADDRESSES = 20_000
_FORMAT = 1

Addresses = dict[tuple[str, int], IPAddress]
"""By (name, family)."""


class AddressBook:
    """One file of `directory`, which is made if needed. Nothing that goes wrong here is more than
    a log line. Of more than MAX_ADDRESSES the ones that were put in first are forgotten. With
    `read_only` (a dry run) it is never written."""

    def __init__(
        self,
        directory: Path,
        writing: StateWriting,
        log: Logger,
        *,
        read_only: bool = False,
    ) -> None:
        self._read_only = read_only
        self._log = log
        self._addresses: Addresses = {}
        self._file = addresses_file(directory)
        self._writer = WriteBehind(
            self._file,
            lambda: dict(self._addresses),
            writing,
            lambda why: log.warn("Addresses cannot be kept for the next start: {why}", why=why),
            after_s=SAVE_AFTER_S,
        )

    def load(self) -> None:
        """Read what the last run has left. Blocks on the disk."""
        self._addresses = load_or_warn(self._file, "What was kept of addresses", self._log) or {}

    def get(self, name: str, family: int) -> IPAddress | None:
        """The address that was put in last."""
        return self._addresses.get((name, family))

    def put(self, name: str, address: IPAddress) -> None:
        """Keep this address."""
        key = (name, address.version)
        if self._addresses.get(key) == address:
            return
        self._addresses.pop(key, None)
        self._addresses[key] = address
        if len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]
        if not self._read_only:
            self._writer.changed()

    def hurry(self) -> None:
        """The process is about to end: nothing waits any more until it is on the disk."""
        self._writer.hurry()


def addresses_file(directory: Path) -> StateFile[Addresses]:
    """Where they are kept."""
    return StateFile(directory / FILE_NAME, _FORMAT, _encode, _decode)


def _encode(addresses: Addresses) -> Document:
    return {"addresses": [[name, str(address)] for (name, _), address in addresses.items()]}


def _decode(document: Document) -> Addresses:
    addresses: Addresses = {}
    for name, text in document["addresses"]:
        address = parse_address(text) if isinstance(text, str) else None
        if address is None or not isinstance(name, str):
            raise StateFileError("it is damaged")
        if not why_unusable(address):
            addresses[name, address.version] = address
    return addresses
