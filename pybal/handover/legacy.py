"""What one process leaves to the next, and who keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pybal.handover.store import DescriptorStore


class Legacy(NamedTuple):
    """`store` keeps what we leave, `left` are the descriptors of the process before us, by name.
    Both count at `place` alone, this boot and network namespace. Without a `store`, or not
    `wanted`, nothing is kept, and what was left is closed."""

    store: DescriptorStore | None
    place: str
    left: Mapping[str, list[int]]
    wanted: bool = True

    @property
    def is_kept(self) -> bool:
        """Whether there is anything to know, or to be kept."""
        return self.wanted and self.store is not None


NO_LEGACY = Legacy(None, "", MappingProxyType({}))
