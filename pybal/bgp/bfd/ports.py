"""What BFD touches outside of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from pybal.model import IPAddress

Received = Callable[[bytes, IPAddress, int], None]


class BFDNetwork(Protocol):
    """Datagrams. `open` gives a function that sends to `peer`, and one that closes."""

    def open(
        self, peer: IPAddress, source: IPAddress | None, port: int, *, multihop: bool
    ) -> tuple[Callable[[bytes], None], Callable[[], None]]:
        """A sending socket, its source port being `port`. Raises OSError."""

    def listen(self, version: int, received: Received, *, multihop: bool) -> Callable[[], None]:
        """Receive (data, source, TTL) of one IP version; gives a function that closes.
        Raises OSError."""


class Numbers(Protocol):
    """Where the numbers of authenticated packets outlive a planned restart, by peer."""

    def take(self) -> dict[str, int]:
        """Those that were kept, once."""

    def keep(self, numbers: Mapping[str, int]) -> None:
        """For the next start."""
