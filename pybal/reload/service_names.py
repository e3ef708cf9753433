"""Under which names the services of the last run ran: one that a start finds under another name
goes on with what operators have said of it, and with its list, as over a reload."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from twisted.logger import Logger

from pybal.config.settings import ServiceSettings
from pybal.pool.desired import service_key
from pybal.state.keeper import Keeper
from pybal.state.state_file import Document, StateFile
from pybal.state.state_writing import StateWriting

Names = Mapping[str, str]
"""What each service is in the kernel (the text of its ServiceKey), by its name."""

Renames = tuple[tuple[str, str], ...]
"""Former and present names."""

Ways = tuple[Names, ...]
"""Those of the configuration that was gone over to wholly, then those that were begun with since.
"""

_FORMAT = 1


def names_file(state_directory: Path) -> StateFile[Ways]:
    """Where they are kept."""
    return StateFile(state_directory / "service-names.json", _FORMAT, _encode, _decode)


def renames(before: Names, now: Names, taken: Collection[str] = ()) -> Renames:
    """The services that go on under another name: those that are the same in the kernel. `taken`
    names are another service's now."""
    former = {key: name for name, key in before.items() if name not in now or name in taken}
    new = ((former.get(key), name) for name, key in now.items() if name not in before)
    return tuple((was, name) for was, name in new if was is not None)


def renames_of(ways: Ways, now: Names) -> Renames:
    """The same after reloads that failed, of which nobody knows how far they came: what operators
    have said may stand under any of the names."""
    taken = taken_names(ways, now)
    found = {was: name for names in ways for was, name in renames(names, now, taken)}
    return tuple(found.items())


def taken_names(ways: Ways, now: Names) -> frozenset[str]:
    """Names of services that a reload has taken away, if only in part, and that others have now:
    not those that are back. What operators have said of the former is not meant for these."""
    return frozenset(name for name, key in now.items() if _is_taken(name, key, ways))


def _is_taken(name: str, key: str, ways: Ways) -> bool:
    without = [at for at, names in enumerate(ways) if name not in names]
    before = {names[name] for names in ways[: max(without, default=0)] if name in names}
    return bool(before) and key not in before


class ServiceNames:
    """Keeps them in `state_directory`; None: nothing is kept for the next start."""

    def __init__(self, state_directory: Path | None, writing: StateWriting, log: Logger) -> None:
        self._ways: Ways = ()
        self._keeper: Keeper[Ways] = Keeper(
            state_directory, names_file, "The names of services", (), writing, log
        )
        self._log = log
        self.taken: frozenset[str] = frozenset()
        """As `taken_names` has them, of the last start or reload."""
        self.kept: frozenset[str] = frozenset()
        """Of the services of this start: those that ran, or were begun with, under their present
        name in the last run, too."""

    def start(self, services: Iterable[ServiceSettings]) -> Renames:
        """With the services of this run; those that the last one had under another name. Blocks on
        the disk."""
        now = _names(services)
        former = self._keeper.load()
        found, self.taken = renames_of(former, now), taken_names(former, now)
        every = (item for names in former for item in names.items())
        self.kept = frozenset(name for name, key in every if now.get(name) == key)
        for was, name in found:
            self._log.info("Service {was} of the last run goes on as {name}", was=was, name=name)
        self._become((now,))
        return found

    def go_over_to(self, services: Iterable[ServiceSettings]) -> Renames:
        """A reload begins to make them others; those that go on under another name."""
        now = _names(services)
        found, self.taken = renames_of(self._ways, now), taken_names(self._ways, now)
        if now not in self._ways:
            self._become((*self._ways, now))
        return found

    def gone_over_to(self, services: Iterable[ServiceSettings]) -> None:
        """It has come to its end."""
        self._become((_names(services),))

    def _become(self, ways: Ways) -> None:
        self._ways = ways
        self._keeper.save(ways)


def _names(services: Iterable[ServiceSettings]) -> Names:
    return {service.name: str(service_key(service)) for service in services}


def _encode(ways: Ways) -> Document:
    whole, begun = ways[:1], ways[1:]
    return {"services": dict(*whole), "begun": [dict(names) for names in begun]}


def _decode(document: Document) -> Ways:
    every = (document["services"], *document["begun"])
    return tuple({str(name): str(key) for name, key in names.items()} for names in every)
