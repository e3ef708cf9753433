"""`k8s://TOKEN@host[:port]`: the nodes of a Kubernetes cluster, asked for every 60 seconds."""

from __future__ import annotations

import codecs
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
from pybal.sources.json_stream import JSONStream
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
_LONGEST_NODE = 1024 * 1024
"""In characters, some twenty times an honest one: what is longer keeps the interpreter too long."""
_MOST_MEMBERS = 100
"""A NodeList has four: to go through millions takes half a minute, in which no list is parsed."""
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
    nodes = _Nodes()
    said: dict[str, object] = {}
    lists = 0
    text = codecs.iterdecode(_pieces(body), "utf-8-sig")
    stream = JSONStream(text, _LONGEST_NODE, _needed)
    try:
        for number, name in enumerate(stream.members()):
            if number == _MOST_MEMBERS:
                raise SourceError("the answer is not a NodeList")
            if name == "items" and stream.next_is("["):
                lists += 1
                for node in stream.elements():
                    nodes.add(node)
            else:
                value = stream.value()
                said |= {name: value} if name in ("kind", "metadata") else {}
        stream.end()
    except (ValueError, RecursionError):
        raise SourceError("the answer is not the JSON of a NodeList") from None
    if said.get("kind") != "NodeList" or lists != 1:
        raise SourceError("the answer is not a NodeList")
    if _get(said, "metadata", "continue") or _get(said, "metadata", "remainingItemCount"):
        raise SourceError("the answer is a part of the NodeList: more is on other pages")
    return nodes.result()


class _Nodes:
    """Makes servers of nodes, one after the other."""

    def __init__(self) -> None:
        self._servers: list[ServerSpec] = []
        self._problems: list[PoolProblem] = []
        self._absent: set[str] = set()
        self._seen: set[str] = set()
        self._count = 0

    def add(self, node: object) -> None:
        self._count += 1
        if self._count > MAX_ENTRIES:
            raise SourceError(f"the answer has more than {MAX_ENTRIES} nodes")
        name = _get(node, "metadata", "name")
        if problem := host_problem(name):
            self._damaged(f"a node with the name {quoted(name, 60)} {problem}")
            return
        host = str(name)
        cordoned = _get(node, "spec", "unschedulable") or False
        ready = _ready(node)
        if same_host(host) in self._seen:
            self._damaged(f"node {host} is listed twice, the first one counts")
        elif cordoned is True:
            self._absent.add(host)
        elif ready is None or cordoned is not False:
            what = "it is not said whether it is ready" if ready is None else "is it cordoned?"
            self._damaged(f"node {host}: {what}")
        else:
            self._servers.append(ServerSpec(host, _WEIGHT, enabled=ready))
        self._seen.add(same_host(host))

    def _damaged(self, text: str) -> None:
        self._problems.append(PoolProblem(0, text))

    def result(self) -> PoolList:
        """Of all that were added."""
        problems = tuple(self._problems)
        if problems and not self._servers and not self._absent:
            raise SourceError(f"no node can be read; {problems[0]}")
        return PoolList(tuple(self._servers), problems, frozenset(self._absent))


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
