"""Why a server is or is not pooled: the policy's last decision, for people and programs. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from pybal.instrumentation.instants import instant, iso_time
from pybal.model import Decision, HoldDown, ServerSnapshot


def why_json(server: ServerSnapshot, threshold: Fraction) -> dict[str, Any] | None:
    """The decision with all its inputs, led by one sentence."""
    decision, hold_down = server.decision, server.hold_down
    if decision is None:
        return None
    document = decision_json(server.host, decision, threshold)
    if hold_down is not None:
        document["text"] += f" {hold_down_sentence(hold_down)}"
    return {
        **document,
        "hold_down": None if hold_down is None else _hold_down_json(hold_down),
    }


def decision_json(host: str, decision: Decision, threshold: Fraction) -> dict[str, Any]:
    """A decision, led by one sentence."""
    return {
        "text": sentence(host, decision, threshold),
        "verdict": decision.verdict.name.lower(),
        "cause": decision.cause,
        "configured": decision.configured,
        "up": decision.up,
        "pooled": decision.pooled,
        "threshold": float(threshold),
        "required": float(decision.required),
        "at": instant(decision.at),
    }


def sentence(host: str, decision: Decision, threshold: Fraction) -> str:
    """One sentence that a person understands without knowing PyBal's words."""
    servers = "server was" if decision.configured == 1 else f"servers {_was(decision.up)}"
    return (
        f"{host} is {decision.verdict.value} "
        f"(decided at {iso_time(decision.at)}, cause: {decision.cause}): "
        f"{decision.up} of {decision.configured} {servers} up and enabled, "
        f"the threshold of {_number(threshold)} requires {_number(decision.required)}, "
        f"and {decision.pooled} {_was(decision.pooled)} pooled then."
    )


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def hold_down_sentence(hold_down: HoldDown) -> str:
    """Why a server that is up again is not pooled yet."""
    return (
        f"It is up again, but went down {hold_down.flaps} times within {hold_down.window_s:g} s:"
        f" it is pooled at {iso_time(hold_down.until)} if it does not fail before, or once the"
        " pool needs it."
    )


def _hold_down_json(hold_down: HoldDown) -> dict[str, Any]:
    return {
        "flaps": hold_down.flaps,
        "window_s": hold_down.window_s,
        "until": instant(hold_down.until),
    }


def _number(value: Fraction) -> str:
    return f"{float(value):.6g}"
