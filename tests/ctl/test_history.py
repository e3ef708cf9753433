"""pybalctl's events and `why --at`."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pybal.ctl import history
from pybal.ctl.bursts import QUIET_S
from pybal.ctl.client import SocketClient
from pybal.ctl.history import as_they_come
from pybal.ctl.local_time import local_time
from pybal.history.event import Kind
from pybal.history.incidents import Concern, Subject
from pybal.history.ledger import Ledger, Note
from tests.ctl.served import ServedSite
from tests.fakes.view import NOON, FakeView, decision_inputs, server, service


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServedSite]:
    view = FakeView([service("web", [server("cp1")]), service("dns", [server("cp1")])])
    fail(view.ledger)
    with ServedSite(tmp_path / "s", view) as served:
        yield served


def fail(ledger: Ledger) -> None:
    """cp1 fails in two services; a list of a third changes."""
    ledger.note(Note(Kind.START, "PyBal starts"))
    for name in ("web", "dns"):
        concern = Concern(Subject("host", "cp1"), f"{name} Ping")
        inputs: dict[str, Any] = {"up": False}
        report = Note(Kind.REPORT, "Ping reports cp1 down", name, "cp1", None, inputs, concern)
        decision = decision_inputs("depooled")
        cause = ledger.note(report)
        ledger.note(Note(Kind.DECISION, "cp1 is depooled", name, "cp1", cause, decision))
    ledger.note(Note(Kind.LIST, "Pool list of 3: new x\x1b[31m", "ldap"))


def lines(site: ServedSite, *words: str) -> list[str]:
    status, out, errors = site.ctl("events", *words)
    assert (status, errors) == (0, "")
    return [line[20:] for line in out.splitlines()]


def test_what_belongs_together_is_one_line(site: ServedSite) -> None:
    assert lines(site) == [
        "start      PyBal starts",
        "incident   cp1 failed in 2 services (2 depooled): Ping reports cp1 down (goes on; 2"
        " effects, 4 events: pybalctl events --incident 2)",
        "list       [ldap] Pool list of 3: new x\\x1b[31m",
    ]
    assert lines(site, "--since", "1h") == lines(site)


def test_single_events_can_be_seen(site: ServedSite) -> None:
    expected = [
        "report     [web] Ping reports cp1 down (incident 2)",
        "decision   [web] cp1 is depooled (incident 2)",
    ]
    assert lines(site, "--service", "web") == expected
    assert len(lines(site, "--all")) == 6
    assert len(lines(site, "--incident", "2")) == 4
    assert len(lines(site, "--kind", "decision", "--kind", "list")) == 3
    assert lines(site, "--limit", "1") == lines(site)[-1:]
    status, out, _ = site.ctl("events", "--host", "cp1", "--kind", "route")
    assert (status, out) == (0, "Nothing of that kind has happened\n")
    (said,) = site.ctl("events", "--until", "2001-01-01T00:00")[1].splitlines()
    begun = site.ctl("events", "--all", "--since", "2001-01-01T00:00")[1]
    assert said == f"Nothing of that kind has happened; the history begins at {begun[:19]}"


@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_a_name_that_there_is_not_is_answered_with_those_that_there_are(
    site: ServedSite, follow: tuple[str, ...]
) -> None:
    status, _, errors = site.ctl("events", "--host", "cp", *follow)
    assert (status, errors) == (1, "pybalctl: There is no server cp. Did you mean cp1?\n")
    status, _, errors = site.ctl("events", "--service", "mail", *follow)
    assert (status, errors) == (1, "pybalctl: There is no service mail. There are dns, web\n")
    status, _, errors = site.ctl("why", "cp1", "wbe", "--at", "now")
    assert (status, "Did you mean web?" in errors) == (1, True)


def test_more_than_a_page_is_fetched_page_by_page(tmp_path: Path) -> None:
    view = FakeView([service("web", [server("cp1")])])
    for number in range(2500):
        view.ledger.note(Note(Kind.LIST, f"{number}.", "web"))
    with ServedSite(tmp_path / "s", view) as site:
        found = lines(site, "--limit", "2200", "--all")
        assert [found[0][11:], found[-1][11:], len(found)] == ["[web] 300.", "[web] 2499.", 2200]
        assert len(lines(site, "--limit", "9999", "--all")) == 2500


def test_more_than_can_be_shown_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MOST", 1000)
    view = FakeView([service("web", [server("cp1")])])
    for number in range(2500):
        view.ledger.note(Note(Kind.LIST, f"{number}.", "web"))
    with ServedSite(tmp_path / "s", view) as site:
        status, out, errors = site.ctl("events", "--since", "1h", "--all")
        assert (status, len(out.splitlines())) == (0, 1000)
        assert errors.startswith("pybalctl: Only the first ")
        assert site.ctl("events", "--limit", "1000", "--all")[2] == ""
        _, out, errors = site.ctl("events", "--limit", "1500", "--all")
    assert len(out.splitlines()) == 1000
    assert errors.startswith("pybalctl: Only the newest ")


@pytest.mark.parametrize("limit", ["0", "-5", "x", "1.5", ""])
def test_a_limit_that_is_none_is_a_wrong_command_line(site: ServedSite, limit: str) -> None:
    with pytest.raises(SystemExit) as ended:
        site.ctl("events", f"--limit={limit}")
    assert ended.value.code == 2


@pytest.mark.parametrize("words", [("--until", "1h"), ("--limit", "1001")])
def test_what_has_no_effect_on_what_is_followed_is_a_wrong_command_line(
    site: ServedSite, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        site.ctl("events", "--follow", *words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_what_is_followed_begins_with_so_many_as_are_wanted(site: ServedSite) -> None:
    out = site.ctl("events", "--follow", "--all", "--since", "1h", "--limit", "2")[1]
    assert [line[20:] for line in out.splitlines()] == lines(site, "--all")[-2:]


def test_what_is_followed_and_comes_together_is_one_line(site: ServedSite) -> None:
    """The stream of the fake site ends after what there is."""
    status, out, errors = site.ctl("events", "--follow")
    assert [line[20:] for line in out.splitlines()] == lines(site)
    assert status == 3, "it would have gone on for ever"
    assert "the stream" in errors
    assert len(site.ctl("events", "--follow", "--all")[1].splitlines()) == 6


def test_json_has_all_of_it(site: ServedSite) -> None:
    status, out, _ = site.ctl("events", "--json")
    assert status == 0
    assert [event["seq"] for event in json.loads(out)["events"]] == [1, 2, 3, 4, 5, 6]


def test_a_wrong_word_is_one_line_with_the_remedy(site: ServedSite) -> None:
    status, out, errors = site.ctl("events", "--since", "soon")
    assert (status, out) == (2, "")
    assert errors.startswith("pybalctl: since: 'soon' is no moment")
    assert len(errors.splitlines()) == 1
    status, _, errors = site.ctl("events", "--kind", "x")
    assert (status, "There are start, stop" in errors) == (2, True)
    assert site.ctl("why", "cp1", "--at", "soon")[0] == 2


def test_a_service_may_stand_behind_the_moment(site: ServedSite) -> None:
    before = site.ctl("why", "cp1", "web", "--at", str(NOON))
    assert site.ctl("why", "cp1", "--at", str(NOON), "web") == before
    assert site.ctl("why", "cp1", "--at", str(NOON), "wob")[0] == 1
    with pytest.raises(SystemExit) as ended:
        site.ctl("why", "cp1", "web", "--at", str(NOON), "wob")
    assert ended.value.code == 2


def test_why_at_a_moment(site: ServedSite) -> None:
    status, out, errors = site.ctl("why", "cp1", "web", "--at", str(NOON))
    assert (status, errors) == (0, "")
    first, name, text, cause, *events = out.splitlines()
    assert first == f"At {local_time({'epoch': NOON})}:"
    assert name == "web: cp1 was enabled/down/not pooled"
    decided = local_time({"epoch": NOON})
    assert text.startswith(f"  cp1 is depooled (decided at {decided}, cause: Ping")
    assert cause.endswith("report     [web] Ping reports cp1 down (incident 2)")
    assert len(events) == 2
    _, out, _ = site.ctl("why", "cp1", "--at", "now")
    assert "web: cp1 was" in out
    assert "dns: cp1 was" in out


def test_why_before_the_history_says_so(site: ServedSite) -> None:
    status, out, errors = site.ctl("why", "nosuch", "--at", "1h ago")
    assert (status, out) == (1, "")
    assert "lies before the history, which begins at" in errors
    assert "history-retention" in errors
    status, out, _ = site.ctl("why", "cp1", "--at", "1h ago")
    assert status == 0
    assert "That moment lies before the history, which begins at" in out


def test_a_start_is_a_few_lines(tmp_path: Path) -> None:
    view = FakeView([service("web", [server("cp1")])])
    cause = view.ledger.note(Note(Kind.LIST, "Pool list of 2: new cp1, cp2", "web"))
    for host in ("cp1", "cp2"):
        decision = decision_inputs("pooled_unproven")
        view.ledger.note(Note(Kind.DECISION, "pooled", "web", host, cause, decision))
    for host in ("cp1", "cp2"):
        up = view.ledger.note(Note(Kind.REPORT, "up", "web", host, inputs={"up": True}))
        view.ledger.note(Note(Kind.DECISION, "x", "web", host, up, decision_inputs("pooled")))
    view.ledger.note(Note(Kind.ROUTE, "198.51.100.1 is to be announced", "web"))
    with ServedSite(tmp_path / "s", view) as site:
        assert lines(site) == [
            "list       [web] Pool list of 2: new cp1, cp2 (2 pooled unproven)",
            "report     2 monitors of 1 service report their servers up",
            "route      [web] 198.51.100.1 is to be announced",
        ]
        assert len(lines(site, "--all")) == 8
        assert len(lines(site, "--host", "cp1")) == 3


def test_a_server_that_is_kept_pooled_is_not_called_held_as_lists_are(tmp_path: Path) -> None:
    view = FakeView([service("web", [server("cp1")])])
    cause = view.ledger.note(Note(Kind.LIST, "Pool list of 1: removed cp2", "web"))
    view.ledger.note(Note(Kind.DECISION, "x", "web", "cp1", cause, decision_inputs("held")))
    with ServedSite(tmp_path / "s", view) as site:
        assert lines(site) == [
            "list       [web] Pool list of 1: removed cp2 (1 pooled though down)"
        ]


@pytest.mark.slow
def test_an_incident_that_is_followed_is_told_again_when_it_has_become_another(
    tmp_path: Path,
) -> None:
    view = FakeView([service("web", [server("cp1")])])
    fail(view.ledger)
    with ServedSite(tmp_path / "s", view) as site:
        client = SocketClient(site.path)
        (belonging, *_) = [
            each for each in client.get("events")["events"] if each["incident"] is not None
        ]

        def stream() -> Iterator[dict[str, Any]]:
            yield belonging
            time.sleep(2 * QUIET_S)  # the burst is over
            yield belonging
            time.sleep(2 * QUIET_S)
            concern = Concern(Subject("host", "cp1"), "mail Ping")
            view.ledger.note(Note(Kind.REPORT, "x", "mail", "cp1", None, {"up": False}, concern))
            yield belonging

        options = Namespace(all=False, incident=None, service=[], host=[], kind=[])
        told = [line.text[20:61] for line in as_they_come(client, options, stream())]
    assert told == [
        "incident   cp1 failed in 2 services (2 de",
        "incident   cp1 failed in 3 services (2 de",
    ]
