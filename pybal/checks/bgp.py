"""`check_pybal_bgp`: whether the sessions with all configured routers are established."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pybal.checks.asking import Ask, AskingError, HTTPAsk, ask_json
from pybal.checks.program import parser, run
from pybal.checks.result import Result, State
from pybal.runtime.naming import counted


def bgp(ask: Ask, warning: int = 1, critical: int = 1) -> Result:
    """CRITICAL from `critical` peers on that are away, WARNING from `warning` on. A director
    without BGP is OK."""
    document = ask_json(ask, "bgp")
    try:
        if not document["enabled"]:
            return Result(State.OK, "BGP is not enabled")
        peers = [_peer(peer) for peer in document["peers"]]
    except (KeyError, TypeError) as error:
        raise AskingError("/api/v1/bgp is not as it should be: is it PyBal?") from error
    away = [text for established, text in peers if not established]
    numbers = {"peers": len(peers), "established": len(peers) - len(away)}
    if not away:
        return Result(State.OK, f"{_of(len(peers), len(peers))}", numbers)
    state = State.OK
    if len(away) >= critical:
        state = State.CRITICAL
    elif len(away) >= warning:
        state = State.WARNING
    text = f"{_of(len(peers) - len(away), len(peers))}: {'; '.join(away)}"
    return Result(state, text, numbers)


def _of(number: int, every: int) -> str:
    return f"{number} of {counted(every, 'BGP session')} established"


def _peer(peer: dict[str, Any]) -> tuple[bool, str]:
    """Whether there is a session, and if not what is known of that."""
    error = peer.get("last_error")
    cause = f" ({error['text']})" if isinstance(error, dict) else ""
    return bool(peer["established"]), f"{peer['address']} is in {peer['state']}{cause}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    made = parser("check_pybal_bgp", "Checks that PyBal's BGP sessions are established.")
    for option, name in (("-w", "warning"), ("-c", "critical")):
        made.add_argument(
            option,
            f"--{name}",
            type=int,
            default=1,
            metavar="PEERS",
            help=f"so many peers away are {name.upper()} (default: %(default)s)",
        )
    return run(made, _check, arguments)


def _check(options: argparse.Namespace) -> Result:
    return bgp(HTTPAsk(options.url, options.timeout), options.warning, options.critical)
