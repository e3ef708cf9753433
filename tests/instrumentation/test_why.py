"""The last decision about a server, for people and programs."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pybal.instrumentation.why import decision_json, sentence, why_json
from pybal.model import Decision, HoldDown, Verdict
from tests.fakes.view import NOON, server

AT = {"iso": "2023-11-14T22:13:20.000Z", "epoch": NOON}
DECISION = Decision(Verdict.HELD, "Ping reported down", NOON, 7, 3, 4, Fraction(7, 3))
TEXT = (
    f"cp1 is {Verdict.HELD.value} (decided at 2023-11-14T22:13:20.000Z, cause: Ping reported"
    " down): 3 of 7 servers were up and enabled, the threshold of 0.333333 requires 2.33333, and 4"
    " were pooled then."
)


def test_a_decision_has_all_its_inputs_and_a_sentence() -> None:
    assert sentence("cp1", DECISION, Fraction(1, 3)) == TEXT
    assert decision_json("cp1", DECISION, Fraction(1, 3)) == {
        "text": TEXT,
        "verdict": "held",
        "cause": "Ping reported down",
        "configured": 7,
        "up": 3,
        "pooled": 4,
        "threshold": pytest.approx(1 / 3),
        "required": pytest.approx(7 / 3),
        "at": AT,
    }


def test_one_server_was_and_two_were() -> None:
    text = sentence("cp1", DECISION._replace(up=2, pooled=1), Fraction(1, 3))
    assert "2 of 7 servers were up" in text
    assert text.endswith("and 1 was pooled then.")
    assert "1 of 7 servers was up" in sentence("cp1", DECISION._replace(up=1), Fraction(1, 3))
    for up in (0, 1):
        alone = sentence("cp1", DECISION._replace(configured=1, up=up), Fraction(1, 3))
        assert f"{up} of 1 server was up and enabled" in alone


def test_a_server_has_its_decision_and_why_it_waits() -> None:
    assert why_json(server("cp1"), Fraction(1, 3)) is None
    decided = server("cp1", decision=DECISION)
    document = decision_json("cp1", DECISION, Fraction(1, 3))
    assert why_json(decided, Fraction(1, 3)) == {**document, "hold_down": None}
    waits = decided._replace(hold_down=HoldDown(4, 300.0, NOON))
    assert why_json(waits, Fraction(1, 3)) == {
        **document,
        "text": TEXT + " It is up again, but went down 4 times within 300 s: it is pooled at"
        " 2023-11-14T22:13:20.000Z if it does not fail before, or once the pool needs it.",
        "hold_down": {"flaps": 4, "window_s": 300.0, "until": AT},
    }
