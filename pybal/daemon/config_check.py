"""`pybal --check-config`: whether a file can be used, and what may surprise on this host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pybal.config.handover_notes import handover_notes
from pybal.config.pool_files import listed_servers, with_pool_files
from pybal.config.problems import LoadResult
from pybal.config.report import host_notes, is_good, report, report_json
from pybal.config.settings import Settings
from pybal.config.unit_notes import UNITS, unit_notes
from pybal.config.users import is_group
from pybal.health.descriptor_need import kept_connections, shortage
from pybal.ipvs.modules import KernelModules, kernel_notes, scheduler_notes
from pybal.monitors.registry import MonitorTypes, kinds_of, notes_on
from pybal.net.local_address import is_interface, is_local
from pybal.pool.desired import all_modules_needed
from pybal.runtime.descriptors import descriptor_limit


def check_config(
    result: LoadResult, monitors: MonitorTypes, *, as_json: bool, strict: bool
) -> tuple[Sequence[str], bool]:
    """The lines to print, and whether the file can be used. Reads the pool lists that it names;
    `strict`: a warning is no better than an error."""
    result = with_pool_files(result)
    notes = _notes(result.settings, monitors)
    good = is_good(result, strict=strict)
    if as_json:
        return [report_json(result, notes, strict=strict)], good
    lines = report(result, kinds_of(monitors), strict=strict)
    return [*lines, *(f"NOTE: {note}" for note in notes)], good


def _notes(settings: Settings | None, monitors: MonitorTypes) -> list[str]:
    """What of this host may surprise those who are about to run PyBal on it, its kernel where root
    asks: no reason to refuse the file, which may be for another host."""
    if settings is None:
        return []
    notes = [*notes_on(settings.services, monitors), *handover_notes(settings)]
    if os.geteuid() == 0:
        modules = KernelModules(Path("/"), os.uname().release)
        needs = all_modules_needed(settings.services)
        notes += (*kernel_notes(modules), *scheduler_notes(modules, needs))
    notes += host_notes(settings, is_local, is_interface, is_group)
    if any(unit.exists() for unit in UNITS):
        notes += unit_notes(settings)
    kept = sum(kept_connections(service, count) for service, count in listed_servers(settings))
    if text := shortage(kept, descriptor_limit()):
        notes.append(text)
    return notes
