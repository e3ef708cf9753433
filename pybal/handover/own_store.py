"""Descriptors kept by this process itself, for the program that takes its place (execve(2)): what a
service manager's store does, where there is none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence

from pybal.handover.inherited import NUMBERS


class OwnStore:
    """A DescriptorStore. It has copies, as a manager would have, from the beginning on those of
    what was `left` by the program before."""

    def __init__(self, left: Mapping[str, Sequence[int]]) -> None:
        self._kept: dict[str, list[int]] = {}
        for name, descriptors in left.items():
            self.keep(name, descriptors)

    def keep(self, name: str, descriptors: Sequence[int]) -> bool:
        """See DescriptorStore. What it has by this name already it does not take again."""
        kept = self._kept.setdefault(name, [])
        try:
            for descriptor in descriptors:
                if _identity(descriptor) not in map(_identity, kept):
                    kept.append(os.dup(descriptor))
        except OSError:
            self.forget(name)
            return False
        return True

    def forget(self, name: str) -> None:
        """See DescriptorStore."""
        for descriptor in self._kept.pop(name, ()):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def hand_over(self, process_id: int) -> dict[str, str]:
        """Leave all of it to take_descriptors() of the next program: the environment that tells of
        them. Each stays at its own number, which nobody else has: what is put in the place of
        another one would be closed by a thread that is about to close that. Raises OSError."""
        kept = [(name, one) for name, own in self._kept.items() for one in own]
        for _, one in kept:
            os.set_inheritable(one, True)
        return {
            "LISTEN_PID": str(process_id),
            "LISTEN_FDS": str(len(kept)),
            "LISTEN_FDNAMES": ":".join(name for name, _ in kept),
            NUMBERS: ":".join(str(one) for _, one in kept),
        }


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
