"""`k8s://TOKEN@host[:port]`: the nodes of a Kubernetes cluster, asked for every 60 seconds."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from pybal.config.pool_list import MAX_ENTRIES, PoolList, PoolProblem
from pybal.config.settings import KubernetesSource
from pybal.errors import SourceError
from pybal.http.port import HTTPRequest
from pybal.model import ServerSpec
from pybal.net.addresses import endpoint, host_problem, same_host
from pybal.runtime.naming import quoted
from pybal.sources.http import whole_body
from pybal.sources.parsing import parsed
from pybal.sources.poller import Pauses
from pybal.sources.polling_source import Early
from pybal.sources.ports import USER_AGENT, SourcePorts

TIMEOUT_S = 5.0
MAX_BYTES = 64 * 1024 * 1024
"""A node's record lists its images and is tens of kilobytes long; clusters have up to 5,000."""

KUBERNETES_PAUSES = Pauses(60.0, 2.0, 30.0)
KUBERNETES_OVERDUE_S = 180.0
_WEIGHT = 1
_DECODED_BYTES = 262_144
_NEEDED = frozenset(
    "kind metadata continue remainingItemCount items name spec unschedulable"
    " status conditions type".split()
)
"""What is looked at, of whatever object."""


class KubernetesReader:
    """The Reader of an API server's nodes. The token goes into the request alone."""

    def __init__(self, settings: KubernetesSource, ports: SourcePorts) -> None:
        self._url = f"https://{endpoint(settings.host, settings.port)}/api/v1/nodes"
        self._token = settings.token
        self._ports = ports

    async def read(self, early: Early) -> PoolList | None:  # noqa: ARG002 - as the port has it
        """See Reader."""
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
        body = whole_body(await self._ports.http.fetch(request))
        return await parsed(len(body), partial(parse_nodes, body), self._ports)

    def stop(self) -> None:
        """See Reader: nothing is open between readings."""


def parse_nodes(body: bytes) -> PoolList:
    """Every schedulable node of a NodeList (core/v1) as a server under the node's name.

    It is enabled while its Ready condition is "True". A cordoned node
    (`spec.unschedulable`) is not in the pool. A node without a name, or of which it is not said
    whether it is ready, is damage. Raises SourceError for anything but a whole NodeList.
    """
    items = _items(body)
    servers: dict[str, ServerSpec] = {}
    problems = []
    absent = set()
    seen = set()
    for node in items:
        name = _get(node, "metadata", "name")
        cordoned = _get(node, "spec", "unschedulable") or False
        ready = _ready(node)
        if problem := host_problem(name):
            problems.append(PoolProblem(0, f"a node with the name {quoted(name, 60)} {problem}"))
        elif same_host(str(name)) in seen:
            problems.append(PoolProblem(0, f"node {name} is listed twice, the first one counts"))
        elif cordoned is True:
            absent.add(str(name))
        elif ready is None or cordoned is not False:
            what = "it is not said whether it is ready" if ready is None else "is it cordoned?"
            problems.append(PoolProblem(0, f"node {name}: {what}"))
        else:
            servers[str(name)] = ServerSpec(str(name), _WEIGHT, enabled=ready)
        seen.add(same_host(str(name)))
    if problems and not servers and not absent:
        raise SourceError(f"no node can be read; {problems[0]}")
    return PoolList(tuple(servers.values()), tuple(problems), frozenset(absent))


def _items(body: bytes) -> list[object]:
    """The nodes of a whole NodeList."""
    try:
        text = "".join(codecs.iterdecode(_pieces(body), "utf-8-sig"))
        document = json.loads(text, object_hook=_needed)
    except (ValueError, RecursionError):
        raise SourceError("the answer is not JSON") from None
    items = _get(document, "items")
    if _get(document, "kind") != "NodeList" or not isinstance(items, list):
        raise SourceError("the answer is not a NodeList")
    if _get(document, "metadata", "continue") or _get(document, "metadata", "remainingItemCount"):
        raise SourceError("the answer is a part of the NodeList: more is on other pages")
    if len(items) > MAX_ENTRIES:
        raise SourceError(f"the answer has more than {MAX_ENTRIES} nodes")
    return items


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), _DECODED_BYTES):
        yield body[start : start + _DECODED_BYTES]


def _needed(found: dict[str, object]) -> dict[str, object]:
    """A node's images and labels are most of its record. Being called for each object, this also
    lets the reactor's thread run meanwhile, which waits for the interpreter: C code keeps it to
    itself, for seconds with the largest clusters."""
    return {name: found[name] for name in found.keys() & _NEEDED}


def _ready(node: object) -> bool | None:
    """The status of the Ready condition; None if there is none that makes sense."""
    conditions = _get(node, "status", "conditions")
    if not isinstance(conditions, list):
        return None
    said = [_get(each, "status") for each in conditions if _get(each, "type") == "Ready"]
    if len(said) != 1 or said[0] not in ("True", "False", "Unknown"):
        return None
    return said[0] == "True"


def _get(value: Any, *path: str) -> object:
    """The member at `path`, or None where there is none."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
