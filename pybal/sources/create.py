"""Makes the Source that a service's settings ask for."""

from __future__ import annotations

from twisted.logger import Logger

from pybal.config.settings import (
    EtcdSource,
    FileSource,
    HTTPSource,
    KubernetesSource,
    SourceSettings,
)
from pybal.config.source_url import source_url
from pybal.sources.base import Publish, Source, SourcePorts
from pybal.sources.etcd import EtcdPool
from pybal.sources.file import FilePool
from pybal.sources.http import HTTPPool
from pybal.sources.kubernetes import KubernetesPool
from pybal.sources.lastgood import LastGood
from pybal.sources.list_cache import ListCache

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
    last_good = _last_good(settings, service, publish, ports, log)
    match settings:
        case FileSource(path):
            return FilePool(path, ports, log, last_good)
        case HTTPSource(url):
            return HTTPPool(url, ports, log, last_good)
        case EtcdSource():
            return EtcdPool(settings, ports, log, last_good)
        case KubernetesSource():
            return KubernetesPool(settings, ports, log, last_good)


def _last_good(
    settings: SourceSettings,
    service: str,
    publish: Publish,
    ports: SourcePorts,
    log: Logger,
) -> LastGood:
    url = source_url(settings)
    cache = None
    if ports.state_directory is not None:
        directory = ports.state_directory / _CACHE_DIRECTORY
        cache = ListCache(directory, service, url, ports.in_thread, log)
    return LastGood(url, log, ports.reactor, ports.now, publish, cache)
