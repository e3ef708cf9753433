"""The values that conftool writes to etcd, as servers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pybal.config.pool_list import MAX_ENTRIES, MAX_WEIGHT, Pairs, PoolList, PoolProblem
from pybal.errors import SourceError
from pybal.model import DEFAULT_WEIGHT, ServerSpec
from pybal.net.addresses import host_problem, same_host
from pybal.runtime.naming import quoted

Values = Mapping[str, str | None]
"""The name of each key of a directory -> its value; None for a directory within it."""


def parse_values(values: Values) -> PoolList:
    """A pool list, sorted by host.

    `{"pooled": "yes"|"no"|"inactive", "weight": N}` under the host's name: enabled, disabled,
    or not in the pool at all. A value that makes no sense is damage: its server stays as it is.
    Raises SourceError if no value makes sense, or there are far too many.
    """
    if len(values) > MAX_ENTRIES:
        raise SourceError(f"the directory has more than {MAX_ENTRIES} keys")
    servers: dict[str, ServerSpec] = {}
    problems = []
    absent = set()
    seen = set()
    for host, value in sorted(values.items()):
        try:
            server = _server(host, value)
            if same_host(host) in seen:
                raise ValueError("the host has a key in another spelling, which counts")
            seen.add(same_host(host))
        except ValueError as error:
            problems.append(PoolProblem(0, f"key {quoted(host, 100)}: {error}; skipped"))
            continue
        if server is None:
            absent.add(host)
        else:
            servers[same_host(host)] = server
    if problems and not servers and not absent:
        raise SourceError(f"no key can be read; {problems[0]}")
    return PoolList(tuple(servers.values()), tuple(problems), frozenset(absent))


def _server(host: str, value: str | None) -> ServerSpec | None:
    if value is None:
        raise ValueError("it is a directory")
    if not isinstance(value, str):
        raise ValueError(f"its value {quoted(value, 60)} is no text")
    if problem := host_problem(host):
        raise ValueError(f"its name {problem}")
    try:
        pairs = json.loads(value, object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        raise ValueError(f"its value {quoted(value, 60)} is not JSON") from None
    if not isinstance(pairs, Pairs):
        raise ValueError(f"its value {quoted(value, 60)} is no object")
    attributes = dict(pairs)
    if len(attributes) < len(pairs):
        raise ValueError(f"its value {quoted(value, 60)} gives an attribute twice")
    pooled = attributes.get("pooled")
    if pooled == "inactive":
        return None
    if "pooled" not in attributes:
        raise ValueError("it has no 'pooled': yes, no or inactive")
    if pooled not in ("yes", "no"):
        raise ValueError(f"pooled must be yes, no or inactive, not {quoted(pooled, 60)}")
    weight = attributes.get("weight", DEFAULT_WEIGHT)
    if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"weight must be a whole number from 0 to {MAX_WEIGHT}")
    return ServerSpec(host, weight, enabled=pooled == "yes")
