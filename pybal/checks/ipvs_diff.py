"""`check_pybal_ipvs_diff`: whether the kernel balances what PyBal says is pooled.

It asks the kernel itself: what PyBal believes to be in the kernel is what is to be checked.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pybal.checks.asking import Ask, AskingError, HTTPAsk, ask_json
from pybal.checks.kernel_table import Table, TableError, from_node_exporter, from_proc
from pybal.checks.program import parser, run, url
from pybal.checks.result import Result, State
from pybal.errors import said_by
from pybal.net.addresses import endpoint
from pybal.runtime.naming import named

PROC = Path("/proc/net/ip_vs")
_NAMED = 20
_AGAIN_AFTER_S = 1.5
"""A server that was pooled between the two readings is no difference a moment later."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """What should stand in the kernel; `names` are the services' in pybal.conf."""

    table: Table
    names: dict[str, str]


def pooled(ask: Ask) -> Pooled:
    """Ask PyBal. Raises AskingError."""
    try:
        keys = {name: _unfamilied(key) for key, name in ask_json(ask, "ipvs")["names"].items()}
        listed = [service["name"] for service in ask_json(ask, "services")["services"]]
        table: Table = {}
        for name in listed:
            if name in keys:
                servers = table.setdefault(keys[name], {})
                servers |= _pooled_servers(ask_json(ask, "services", name), keys[name])
    except (KeyError, TypeError, AttributeError) as error:
        raise AskingError("/api/v1 is not as it should be: is it PyBal, and of now?") from error
    return Pooled(table, {key: name for name, key in keys.items()})


def _unfamilied(key: str) -> str:
    """Of marks, as the kernel shows them."""
    if key.startswith("fwmark"):
        return key.removesuffix(" IPv4").removesuffix(" IPv6")
    return key


def _pooled_servers(service: dict[str, Any], key: str) -> dict[str, int]:
    port = 0 if key.startswith("fwmark") else service["port"]
    return {
        endpoint(ip_address(server["address"]), port): server["weight"]
        for server in service["servers"]
        if server["pooled"] and server["address"] is not None
    }


def differences(wanted: Pooled, kernel: Table) -> list[str]:
    """In words, the worst first; none if both are the same. A server that the kernel keeps with
    weight 0 drains: it gets no new connection."""
    found = []
    missing = wanted.table.keys() - kernel.keys()
    if missing:
        shown = (f"{wanted.names[key]} ({key})" for key in missing)
        found.append(f"Services known to PyBal but not to IPVS: {named(sorted(shown), _NAMED)}")
    for said, one, other in (
        ("Servers known to PyBal but not to IPVS", wanted.table, kernel),
        ("Servers in IPVS but not pooled by PyBal", kernel, wanted.table),
    ):
        servers = [
            f"{server} of {wanted.names[key]}"
            for key in one.keys() & other.keys()
            for server, weight in one[key].items()
            if server not in other[key] and not (weight == 0 and one is kernel)
        ]
        if servers:
            found.append(f"{said}: {named(sorted(servers), _NAMED)}")
    unknown = kernel.keys() - wanted.table.keys()
    if unknown:
        found.append(f"Services in IPVS but unknown to PyBal: {named(sorted(unknown), _NAMED)}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    made = parser(
        "check_pybal_ipvs_diff", "Compares what PyBal has pooled with the kernel's IPVS table."
    )
    made.add_argument(
        "--prometheus-url",
        type=url,
        metavar="URL",
        help=f"read the kernel's table from node_exporter; default: from {PROC}",
    )
    made.add_argument("--proc", type=Path, default=PROC, metavar="FILE", help=argparse.SUPPRESS)
    made.add_argument(
        "--config", "--pybal-conf", metavar="FILE", help="not needed any more: PyBal is asked"
    )
    return run(made, _check, arguments)


def _check(options: argparse.Namespace) -> Result:
    ask = HTTPAsk(options.url, options.timeout)
    found = None
    for wait_s in (0.0, _AGAIN_AFTER_S):
        time.sleep(wait_s)
        try:
            kernel = _kernel(options)
        except TableError as error:
            return Result(State.UNKNOWN, str(error))
        wanted = pooled(ask)
        found = differences(wanted, kernel)
        if not found:
            break
    servers = sum(map(len, wanted.table.values()))
    numbers = {"services": len(wanted.table), "servers": servers}
    if found:
        return Result(State.CRITICAL, "; ".join(found), numbers)
    return Result(State.OK, "no difference between PyBal and IPVS", numbers)


def _kernel(options: argparse.Namespace) -> Table:
    if options.prometheus_url:
        return from_node_exporter(HTTPAsk(options.prometheus_url, options.timeout)(""))
    path: Path = options.proc
    try:
        return from_proc(path.read_text("ascii"))
    except FileNotFoundError as error:
        raise TableError(f"no {path}: the kernel's module ip_vs is not loaded") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read: {said_by(error)}") from error
