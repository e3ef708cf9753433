"""Services' sections that were read before: a reload of a large file reads anew only what has
changed in it. Pure.

Only a section that was read without any problem is known, so that each problem is told again with
its present line; and none that names a file, which may have changed by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from pybal.config.ini import Section
from pybal.config.known_text import KnownTexts
from pybal.config.problems import ProblemLog
from pybal.config.section import SectionReader
from pybal.config.service_section import ServiceDraft
from pybal.config.settings import Settings

_NAMES_A_FILE = ".ca-file"


class KnownSection(NamedTuple):
    """What a section said, with what [global] says for it, and what came of that."""

    section: Section
    said: tuple[object, ...]
    draft: ServiceDraft


KnownSections = Mapping[str, KnownSection]
"""By the section's name."""


class Known(NamedTuple):
    """All of a file that was read."""

    sections: KnownSections
    texts: KnownTexts


NOTHING_KNOWN = Known(MappingProxyType({}), MappingProxyType({}))


def read_services(
    sections: Iterable[Section],
    options: Settings,
    log: ProblemLog,
    known: KnownSections,
    elsewhere: Mapping[str, str],
    read: Callable[[SectionReader], ServiceDraft],
) -> tuple[list[ServiceDraft], dict[str, KnownSection]]:
    """All services, and which sections are known from now on. `read` reads one; `elsewhere` is as
    SectionReader has it."""
    services: list[ServiceDraft] = []
    now: dict[str, KnownSection] = {}
    for section in sections:
        former = known.get(section.name)
        reader, said = SectionReader(section, log, elsewhere), _said(section, options, former)
        if said is not None and former is not None and former.said == said:
            # Its lines may be others by now.
            reader.asked |= former.draft.reader.asked
            draft = former.draft._replace(reader=reader)
        else:
            noted = log.noted
            draft = read(reader)
            if log.noted != noted:
                said = None
        services.append(draft)
        if said is not None:
            now[section.name] = KnownSection(section, said, draft)
    return services, now


def _said(
    section: Section, options: Settings, former: KnownSection | None
) -> tuple[object, ...] | None:
    """None: read it in any case. Of what is inherited another section may have complained."""
    if former is not None and former.section is section:
        return former.said[0], options.list_guard, options.flap_damping
    entries = section.entries
    if section.subsections or any(
        entry.inherited or key.endswith(_NAMES_A_FILE) for key, entry in entries.items()
    ):
        return None
    pairs = tuple((key, entry.text) for key, entry in entries.items())
    return pairs, options.list_guard, options.flap_damping
