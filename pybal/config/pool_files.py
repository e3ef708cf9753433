"""What is wrong with the pool lists that are files. Pure but for reading them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pybal.config.pool_list import MAX_LIST_BYTES, PoolList, parse_pool_bytes
from pybal.config.problems import LoadResult, Problem, Severity
from pybal.config.settings import FileSource, ServiceSettings, Settings
from pybal.errors import SourceError, said_by
from pybal.net.addresses import parse_address
from pybal.runtime.naming import named
from pybal.state.files import read_regular_file


def with_pool_files(result: LoadResult) -> LoadResult:
    """With what is wrong with the files that its services read: warnings, as none of it keeps the
    daemon from running. One that cannot be read, or in a folder that there is not, is noted: it may
    be another user's or host's."""
    if result.settings is None:
        return result
    services: dict[Path, list[ServiceSettings]] = {}
    for service in result.settings.services:
        if isinstance(service.source, FileSource):
            services.setdefault(service.source.path, []).append(service)
    found = (problem for path, its in services.items() for problem in _problems(path, its))
    return replace(result, problems=(*result.problems, *found))


def listed_servers(settings: Settings) -> Iterator[tuple[ServiceSettings, int]]:
    """How many servers each service has in its file, where there is one that can be read."""
    for service in settings.services:
        if isinstance(service.source, FileSource):
            with contextlib.suppress(OSError, SourceError):
                yield service, len(_read(service.source.path).servers)


def _read(path: Path) -> PoolList:
    """OSError, SourceError."""
    content = read_regular_file(path, MAX_LIST_BYTES)
    return parse_pool_bytes(content.data, json_format=path.name.endswith(".json"))


def _is_of_another(host: str, version: int) -> bool:
    address = parse_address(host)
    return address is not None and address.version != version


def _problems(path: Path, services: list[ServiceSettings]) -> Iterator[Problem]:
    def problem(severity: Severity, message: str, line: int | None = None) -> Problem:
        return Problem(severity, str(path), line, None, None, None, message)

    of = f"the pool list of [{services[0].name}]"
    if len(services) > 1:
        of += f" and {len(services) - 1} more"
    try:
        found = _read(path)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and path.parent.is_dir():
            yield problem(Severity.WARNING, f"{of} is not there: is its name misspelt?")
        else:
            yield problem(Severity.NOTE, f"{of} cannot be read: {said_by(error)}")
        return
    except SourceError as error:
        yield problem(Severity.WARNING, f"{of} cannot be used: {error}")
        return
    for each in found.problems:
        yield problem(Severity.WARNING, each.message, each.line or None)
    for version in sorted({service.server_version for service in services}):
        if others := [s.host for s in found.servers if _is_of_another(s.host, version)]:
            text = f"{of} has {named(others)}, which the service cannot pool: not IPv{version}"
            yield problem(Severity.WARNING, text)
    if not any(server.enabled for server in found.servers):
        yield problem(Severity.WARNING, f"{of} disables all its servers: it serves nobody")
    elif not any(server.enabled and server.weight for server in found.servers):
        yield problem(Severity.WARNING, f"{of} gives no server a weight above 0: it serves nobody")
