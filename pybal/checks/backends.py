"""`check_pybal`: what `/alerts` says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from urllib.parse import urlsplit

from pybal.checks.asking import Ask, HTTPAsk
from pybal.checks.program import parser, run
from pybal.checks.result import Result, State
from pybal.runtime.naming import shortened

_BEGINNINGS = {"OK": State.OK, "WARNING": State.WARNING, "CRITICAL": State.CRITICAL}


def backends(ask: Ask, path: str = "/alerts") -> Result:
    """As /alerts begins; anything that is neither OK nor WARNING is critical."""
    body = ask(path, "text/plain").strip()
    for word, state in _BEGINNINGS.items():
        if body.startswith(word):
            return Result(state, body.removeprefix(word).removeprefix(" - ") or body)
    return Result(State.CRITICAL, f"{path} answers {shortened(body, 200)!r}: is it PyBal?")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    made = parser("check_pybal", "Says what PyBal's /alerts says: OK, WARNING or CRITICAL.")
    return run(made, _check, arguments)


def _check(options: argparse.Namespace) -> Result:
    """--url may name the server, or /alerts itself as older definitions of the check do."""
    url: str = options.url
    has_path = urlsplit(url).path.strip("/") != ""
    return backends(HTTPAsk(url, options.timeout), "" if has_path else "/alerts")
