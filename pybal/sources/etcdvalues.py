"""The values that conftool writes to etcd, as servers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pybal.config.poollist import MAX_WEIGHT, PoolList, PoolProblem
from pybal.model import DEFAULT_WEIGHT, ServerSpec
from pybal.net.addresses import is_host

Values = Mapping[str, str | None]
"""The name of each key of a directory -> its value; None for a directory within it."""


def parse_values(values: Values, known: Mapping[str, ServerSpec]) -> PoolList:
    """A pool list, sorted by host.

    `{"pooled": "yes"|"no"|"inactive", "weight": N}` under the host's name: enabled, disabled,
    or not in the pool at all. A value that makes no sense is a problem, and its server stays as
    it is in `known`, the servers of the last time: a slip of the pen removes nothing.
    """
    servers = []
    problems = []
    for host, value in sorted(values.items()):
        try:
            server = _server(host, value)
        except ValueError as error:
            server = known.get(host)
            consequence = "skipped" if server is None else "its last good value stays"
            problems.append(PoolProblem(0, f"key {host!r:.100}: {error}; {consequence}"))
        if server is not None:
            servers.append(server)
    return PoolList(tuple(servers), tuple(problems))


def _server(host: str, value: str | None) -> ServerSpec | None:
    if value is None:
        raise ValueError("it is a directory")
    if not is_host(host):
        raise ValueError("its name is no host name or address")
    try:
        attributes = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(f"its value {value!r:.60} is not JSON") from None
    if not isinstance(attributes, dict):
        raise ValueError(f"its value {value!r:.60} is no object")
    pooled = attributes.get("pooled")
    if pooled == "inactive":
        return None
    if pooled not in ("yes", "no"):
        raise ValueError(f"pooled must be yes, no or inactive, not {pooled!r:.60}")
    weight = attributes.get("weight", DEFAULT_WEIGHT)
    if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"weight must be a whole number from 0 to {MAX_WEIGHT}")
    return ServerSpec(host, weight, enabled=pooled == "yes")
