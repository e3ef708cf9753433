"""Makes the Source that a service's settings ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger

from pybal.config.settings import (
    EtcdSource,
    FileSource,
    HTTPSource,
    KubernetesSource,
    SourceSettings,
)
from pybal.config.source_url import source_url
from pybal.sources.file import FILE_OVERDUE_S, FILE_PAUSES, FileReader
from pybal.sources.http import HTTP_OVERDUE_S, HTTP_PAUSES, HTTPReader
from pybal.sources.kubernetes import (
    KUBERNETES_OVERDUE_S,
    KUBERNETES_PAUSES,
    KubernetesReader,
)
from pybal.sources.last_good_list import LastGoodList, Origin
from pybal.sources.list_cache import ListCache, file_name, list_file
from pybal.sources.poller import Pauses
from pybal.sources.polling_source import PollingSource, Reader
from pybal.sources.ports import Publish, SourcePorts
from pybal.sources.source import Source

ETCD_SYSTEM = "config-etcd"
"""The log system of etcd's lines, which log filters know."""

_CACHE_DIRECTORY = "pool-lists"


def create_source(
    settings: SourceSettings,
    service: str,
    publish: Publish,
    ports: SourcePorts,
    log: Logger,
) -> Source:
    """The source of `service`, not started. `publish` is called in the reactor's thread with
    each list that differs from the one before, by start() itself where the source is local.
    The log's namespace is the service's name."""
    origin = origin_of(settings, service, log)

    def last_good(overdue_s: float) -> LastGoodList:
        cache = None
        if ports.state_directory is not None:
            directory = ports.state_directory / _CACHE_DIRECTORY
            file = list_file(directory, service, origin.url, ports.boot)
            cache = ListCache(file, ports.writing, log, read_only=ports.read_only)
        return LastGoodList(
            origin,
            log=log,
            clock=ports.reactor,
            now=ports.now,
            publish=publish,
            cache=cache,
            overdue_s=overdue_s,
        )

    def polling(reader: Reader, pauses: Pauses, overdue_s: float) -> Source:
        return PollingSource(reader, pauses, ports, log, last_good(overdue_s))

    match settings:
        case FileSource(path):
            return polling(FileReader(path, ports), FILE_PAUSES, FILE_OVERDUE_S)
        case HTTPSource(url):
            return polling(HTTPReader(url, ports), HTTP_PAUSES, HTTP_OVERDUE_S)
        case EtcdSource():
            # Loaded already in a daemon: see daemon/on_demand.py.
            from pybal.sources.etcd import ETCD_OVERDUE_S, EtcdPool

            return EtcdPool(settings, ports, last_good(ETCD_OVERDUE_S), origin.log)
        case KubernetesSource():
            reader = KubernetesReader(settings, ports)
            return polling(reader, KUBERNETES_PAUSES, KUBERNETES_OVERDUE_S)


def rename_lists(
    state_directory: Path | None,
    renames: Iterable[tuple[str, str]],
    kept: Collection[str],
) -> None:
    """The kept lists of services that have other names now (former and present ones) are theirs; of
    several the newest. The services `kept` may have one under their present name, too; any other
    that is called so is of a service that has gone before the last run."""
    if state_directory is None:
        return
    folder = state_directory / _CACHE_DIRECTORY
    files: dict[str, list[Path]] = {}
    for was, now in renames:
        own = [folder / file_name(now)] if now in kept else []
        files.setdefault(now, own).append(folder / file_name(was))
    for now, several in files.items():
        with suppress(OSError):  # there may be none
            max(several, key=_written_at_ns).replace(folder / file_name(now))


def _written_at_ns(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return -1  # there is none


def origin_of(settings: SourceSettings, service: str, log: Logger) -> Origin:
    """Where the list of a service comes from. What befalls etcd is told in a log system of its
    own, where a line has to name the service."""
    url = source_url(settings)
    if isinstance(settings, EtcdSource):
        etcds_log = Logger(namespace=ETCD_SYSTEM, observer=log.observer)
        return Origin(url, f"Pool list of {service} from {url}", etcds_log)
    return Origin(url, f"Pool list from {url}", log)
