"""Parts of the API: whose a document is, counts, what keeps a server, who knows of an alert."""

from __future__ import annotations

from pybal.instrumentation.api import alerts_document, server_document, signed, summary
from pybal.instrumentation.pending_alert import Dated
from pybal.kept_change import KeptSnapshot
from pybal.model import Alert, HoldDown, Severity
from pybal.overrides.acknowledgement import Acknowledgement
from tests.fakes.view import NOON, FakeView, server, service

VIEW = FakeView()


def test_every_document_but_the_description_says_whose_it_is() -> None:
    description = {"openapi": "3.1.0"}
    assert signed(VIEW, description) is description
    shown = signed(VIEW, {"x": 1})
    assert shown["x"] == 1
    assert shown["director"]["version"] == VIEW.daemon().version


def test_servers_are_counted_by_what_matters() -> None:
    servers = [
        server("serves"),
        server("held", up=False, pooled=True),
        server("down", up=False),
        server("drains", weight=0),
        server("waits", weight=0, pooled=False),
        server("flaps", pooled=False)._replace(hold_down=HoldDown(4, 300.0, NOON)),
        server("off", enabled=False),
    ]
    change = KeptSnapshot(("serves", "held"), NOON, False, 1, 2, (), 600.0)
    counts = summary(service("web", servers)._replace(held=(change,)))["counts"]
    assert counts == {
        "servers": 7,
        "enabled": 6,
        "up": 5,
        "pooled": 3,
        "pooled_down": 1,
        "held": 2,
        "held_down": 1,
        "draining": 1,
        "overridden": 0,
    }


def test_a_server_tells_of_the_change_that_it_is_held_against() -> None:
    change = KeptSnapshot(("cp1",), NOON, False, 1, 2, (), 600.0)
    one = service("web", [server("cp1"), server("cp2")])._replace(held=(change,))
    shown = [server_document(one, each, {}, {})["held"] for each in one.servers]
    assert shown[0]["servers"] == ["cp1"]
    assert shown[1] is None


def test_an_alert_that_an_operator_knows_says_to_whom() -> None:
    word = Acknowledgement(
        "too-small", None, "", Severity.WARNING, "alice", "new pool", NOON, NOON + 60
    )
    dated = Dated(Alert("too-small", Severity.WARNING, None, "It is too small"), 9.0)
    shown = alerts_document([dated.acknowledged(word)])["alerts"][0]
    assert (shown["severity"], shown["age_s"]) == ("ok", 9.0)
    known = shown["acknowledged"]
    assert (known["by"], known["reason"], known["severity"]) == ("alice", "new pool", "warning")
    assert (known["since"]["epoch"], known["until"]["epoch"]) == (NOON, NOON + 60)
    assert alerts_document([dated])["alerts"][0]["acknowledged"] is None
