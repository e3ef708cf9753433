"""All alerts that operators know of: the owner of them, of their ends and of their file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

from twisted.logger import Logger

from pybal.override import MAX_DURATION_S
from pybal.overrides.acknowledgement import Acknowledgement, AlertKey
from pybal.overrides.timed import TimedEntries

MAX_ACKNOWLEDGEMENTS = 20_000


class AcknowledgementBook:
    """One for each alert. They end by themselves. `clock` provides IReactorTime and does not
    jump, `now()` is Unix seconds; `save` keeps all that there is for the next start."""

    def __init__(
        self,
        clock: Any,
        now: Callable[[], float],
        save: Callable[[tuple[Acknowledgement, ...]], None],
        log: Logger,
    ) -> None:
        self._now = now
        self._save = save
        self._log = log
        self._known: dict[AlertKey, Acknowledgement] = {}
        self._ends = TimedEntries[AlertKey](clock, self._expired)

    def start(self, kept: Iterable[Acknowledgement]) -> None:
        """With those of the last run."""
        now = self._now()
        for each in kept:
            if each.until > now:
                # As of overrides: no longer than was said, wherever the clock has been set to.
                self._put(each, each.until - max(now, each.since))
        self._save(self.all())

    def stop(self) -> None:
        """End nothing any more. Idempotent."""
        self._ends.stop()

    def of(self, key: AlertKey) -> Acknowledgement | None:
        """That of an alert, if there is one."""
        return self._known.get(key)

    def all(self) -> tuple[Acknowledgement, ...]:
        """In the order in which they were made."""
        return tuple(self._known.values())

    def put(self, acknowledgements: Collection[Acknowledgement]) -> None:
        """From now on these are known, each in place of an earlier one."""
        for each in acknowledgements:
            self._put(each, each.until - each.since)
            self._log.warn("{name} is {text}", name=_name(each), text=each.text)
        self._save(self.all())

    def remove(self, keys: Iterable[AlertKey], by: str) -> tuple[Acknowledgement, ...]:
        """These are no longer known; those that there were."""
        found = tuple(self._known[key] for key in keys if key in self._known)
        for each in found:
            del self._known[each.key]
            self._ends.forget(each.key)
            text = "{name} is no longer {text} ({by} has taken that back)"
            self._log.warn(text, name=_name(each), text=each.text, by=by)
        self._save(self.all())
        return found

    def rename(self, renames: Iterable[tuple[str, str]]) -> None:
        """Services go on under another name, former and present one, and what is known of their
        alerts with them."""
        names = dict(renames)
        for each in [each for each in self.all() if each.service in names]:
            left_s = self._ends.left_s(each.key)
            del self._known[each.key]
            self._ends.forget(each.key)
            self._put(replace(each, service=names[str(each.service)]), left_s)
        self._save(self.all())

    def _put(self, each: Acknowledgement, left_s: float) -> None:
        self._known[each.key] = each
        self._ends.put(each.key, min(left_s, MAX_DURATION_S))

    def _expired(self, keys: Collection[AlertKey]) -> None:
        for key in keys:
            each = self._known.pop(key)
            self._log.info(
                "{name} is no longer {text} (its time is over)", name=_name(each), text=each.text
            )
        self._save(self.all())


def _name(each: Acknowledgement) -> str:
    about = " ".join(filter(None, (each.service, each.about)))
    return f"Alert {each.id}" + (f" ({about})" if about else "")
