"""`k8s://TOKEN@host[:port]`: the nodes of a Kubernetes cluster, asked for every 60 seconds."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import Logger

from pybal.config.poollist import PoolList, PoolProblem
from pybal.config.settings import KubernetesSource
from pybal.errors import HTTPFetchError, SourceError
from pybal.http.port import HTTPRequest
from pybal.model import ServerSpec, SourceSnapshot
from pybal.net.addresses import endpoint, is_host
from pybal.sources.base import USER_AGENT, SourcePorts
from pybal.sources.lastgood import LastGood
from pybal.sources.poller import Poller

TIMEOUT_S = 5.0
MAX_BYTES = 64 * 1024 * 1024
"""A node's record lists its images and is tens of kilobytes long; clusters have up to 5,000."""

_INTERVAL_S = 60.0
_RETRY_S = 2.0
_MAX_RETRY_S = 30.0
_WEIGHT = 1


class KubernetesPool:
    """The Source of an API server's nodes. The token goes into the request alone."""

    def __init__(
        self,
        settings: KubernetesSource,
        ports: SourcePorts,
        log: Logger,
        last_good: LastGood,
    ) -> None:
        self._url = f"https://{endpoint(settings.host, settings.port)}/api/v1/nodes"
        self._token = settings.token
        self._ports = ports
        self._last_good = last_good
        self._poller = Poller(
            ports.reactor,
            ports.random,
            log,
            self._poll,
            interval_s=_INTERVAL_S,
            retry_s=_RETRY_S,
            max_retry_s=_MAX_RETRY_S,
        )

    def start(self) -> None:
        """See Source."""
        self._last_good.start()
        self._poller.start()

    def stop(self) -> None:
        """See Source. A request that is under way is cancelled."""
        self._poller.stop()
        self._last_good.stop()

    def snapshot(self) -> SourceSnapshot:
        """See Source."""
        return self._last_good.snapshot()

    async def _poll(self) -> bool:
        request = HTTPRequest(
            self._url,
            timeout_s=TIMEOUT_S,
            max_bytes=MAX_BYTES,
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Authorization": f"Bearer {self._token}",
            },
            ca_file=self._ports.ca_file,
        )
        try:
            response = await self._ports.http.fetch(request)
            if response.status != 200:
                raise SourceError(f"answered with status {response.status}, not 200")
            pool = parse_nodes(response.body)
            self._last_good.accept(pool.servers, [str(problem) for problem in pool.problems])
        except (HTTPFetchError, SourceError) as error:
            self._last_good.reject(str(error))
            return False
        return True


def parse_nodes(body: bytes) -> PoolList:
    """Every schedulable node of a NodeList (core/v1) as a server under the node's name.

    It is enabled while its Ready condition is "True". A cordoned node
    (`spec.unschedulable`) is not in the pool. Raises SourceError for anything but a NodeList.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise SourceError("the answer is not JSON") from None
    items = _get(document, "items")
    if _get(document, "kind") != "NodeList" or not isinstance(items, list):
        raise SourceError("the answer is not a NodeList")
    servers: dict[str, ServerSpec] = {}
    problems = []
    for node in items:
        name = _get(node, "metadata", "name")
        if not isinstance(name, str) or not is_host(name):
            problems.append(PoolProblem(0, f"a node with the name {name!r:.60} is skipped"))
        elif _get(node, "spec", "unschedulable") is not True:
            servers[name] = ServerSpec(name, _WEIGHT, enabled=_is_ready(node))
    return PoolList(tuple(servers.values()), tuple(problems))


def _is_ready(node: object) -> bool:
    conditions = _get(node, "status", "conditions")
    return isinstance(conditions, list) and any(
        _get(condition, "type") == "Ready" and _get(condition, "status") == "True"
        for condition in conditions
    )


def _get(value: Any, *path: str) -> object:
    """The member at `path`, or None where there is none."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
