"""The last known addresses of names on disk, for a start while DNS is away.

Without them a restart then would know the address of no server, and take all out of IPVS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybal.errors import SourceError
from pybal.model import IPAddress
from pybal.net.addresses import parse_address
from pybal.state.files import read_regular_file, write_atomically

FILE_NAME = "addresses.json"
SAVE_AFTER_S = 10.0
"""A change is on disk after this time, with those that came meanwhile."""

MAX_ADDRESSES = 20_000
_FORMAT = 1
_MAX_BYTES = 16 * 1024 * 1024

Addresses = dict[tuple[str, int], IPAddress]
"""By (name, family)."""


class AddressBook:
    """One file of `directory`, which is made if needed. Nothing that goes wrong here is more than
    a log line. Of more than MAX_ADDRESSES the ones that were put in first are forgotten."""

    def __init__(
        self,
        directory: Path,
        clock: Any,
        in_thread: Callable[[Callable[[], None]], Deferred[None]],
        log: Logger,
    ) -> None:
        self._path = directory / FILE_NAME
        self._clock = clock
        self._in_thread = in_thread
        self._log = log
        self._addresses: Addresses = {}
        self._saving = False
        self._changed = False
        self._warned = False

    def load(self) -> None:
        """Read what the last run has left. Blocks on the disk."""
        try:
            self._addresses = decode(read_regular_file(self._path, _MAX_BYTES).data)
        except FileNotFoundError:
            pass
        except (OSError, SourceError) as error:
            self._log.warn(
                "The addresses kept in {path} are not used: {error}",
                path=str(self._path),
                error=str(error),
            )

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
        self._changed = True
        self._save_later()

    def _save_later(self) -> None:
        if not self._saving:
            self._saving = True
            self._clock.callLater(SAVE_AFTER_S, self._save)

    def _save(self) -> None:
        self._changed = False
        data = encode(self._addresses)
        saved = self._in_thread(lambda: write_atomically(self._path, data))
        saved.addCallbacks(self._kept, self._failed)
        saved.addCallback(self._saved)

    def _saved(self, _: object) -> None:
        self._saving = False
        if self._changed:
            self._save_later()

    def _kept(self, _: None) -> None:
        self._warned = False

    def _failed(self, failure: Failure) -> None:
        if not self._warned:
            self._warned = True
            self._log.warn(
                "Addresses cannot be kept for the next start: {error}",
                error=failure.getErrorMessage(),
            )


def encode(addresses: Addresses) -> bytes:
    """The file's content."""
    pairs = [[name, str(address)] for (name, _), address in addresses.items()]
    return json.dumps({"format": _FORMAT, "addresses": pairs}).encode()


def decode(data: bytes) -> Addresses:
    """The addresses of such a content; SourceError if it is damaged."""
    addresses: Addresses = {}
    try:
        content = json.loads(data)
        if content["format"] != _FORMAT:
            raise SourceError(f"its format is {content['format']!r:.20}")
        for name, text in content["addresses"]:
            address = parse_address(text) if isinstance(text, str) else None
            if address is None or not isinstance(name, str):
                raise SourceError("it is damaged")
            addresses[name, address.version] = address
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SourceError(f"it is damaged ({type(error).__name__}: {error})") from None
    return addresses
