"""What operators say for a time, as they type it."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pybal.ctl.operator import duration_s, reason
from pybal.instrumentation.override_document import override_document
from pybal.override import Action, LaidOver, Override
from pybal.overrides.wish import Scope, Wish
from tests.ctl.served import ServedSite
from tests.fakes.view import NOON, FakeView, server, service

DRAINED = Override("text_443", "cp1", Action.DRAIN, "alice", "new kernel", NOON, NOON + 3600)
ABSENT = replace(DRAINED, host="cp9")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ServedSite]:
    drained = server("cp1")._replace(weight=0, over=LaidOver(DRAINED, 10, True))
    view = FakeView([service("text_443", [drained, server("cp2")])])
    view.override_list = (DRAINED, ABSENT)
    with ServedSite(tmp_path / "s", view) as served:
        yield served


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("45min", 2700), ("45m", 2700), ("1h", 3600), ("2h30m", 9000), ("1.5 h", 5400),
     ("7d", 604800), ("1w", 604800), ("1H", 3600), ("1d 12h", 129600)],
)  # fmt: skip
def test_a_time_is_written_as_people_do(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "1", "90", "0", "h", "1y", "-1h", "-90", "0s", "8d", "2w", "7d1s", "1h x", "nan h", "٣h"],
)
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        duration_s(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("90", "'90' has no unit: is it 90s, 90min or 90h?"), ("-1h", "is not from 1s to 7d"),
     ("0", "is not from 1s to 7d"), ("1y", "'1y' is no time such as 30min")],
)  # fmt: skip
def test_a_wrong_time_says_what_is_wrong_with_it(
    site: ServedSite, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        site.ctl("drain", "cp1", "--for", text, "--reason", "x")
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "\x1b[2J", "x" * 201])
def test_what_is_no_reason_is_said(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        reason(text)


def test_what_is_typed_is_what_is_asked_for_wherever_the_services_stand(site: ServedSite) -> None:
    wish = Wish(Action.DISABLE, Scope("cp1", ("text_443",)), 3600.0, "new kernel", True)
    words = ("--for", "1h", "--reason", " new kernel ", "--force")
    assert site.ctl("disable", "cp1", "text_443", *words)[0] == 0
    status, out, _ = site.ctl("disable", "cp1", *words, "text_443")
    assert site.controls.asked == [("override", wish)] * 2
    assert (status, out) == (
        0, "text_443: cp1 is disabled by anna until 23:13 UTC: new kernel\n",
    )  # fmt: skip
    status, out, _ = site.ctl("undo", "cp1", "--all")
    assert status == 0
    assert out.startswith("text_443: cp1 is as its list has it again; it was drained by anna ")
    assert site.controls.asked[-1] == ("undo", Scope("cp1", (), True))


@pytest.mark.parametrize("verb", ["enable", "undo", "ack"])
def test_what_takes_nobody_away_is_not_forced(
    site: ServedSite, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = () if verb == "undo" else ("--for", "1h", "--reason", "x")
    with pytest.raises(SystemExit) as ended:
        site.ctl(verb, "cp1", *words, "--force")
    assert ended.value.code == 2
    assert "--force" in capsys.readouterr().err
    assert site.controls.asked == []


@pytest.mark.parametrize("verb", ["drain", "undo"])
def test_all_services_and_one_of_them_are_not_the_same(
    site: ServedSite, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--for", "1h", "--reason", "x") if verb == "drain" else ()
    with pytest.raises(SystemExit) as ended:
        site.ctl(verb, "cp1", "--all", *words, "text_443")
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"pybalctl {verb}: --all is for all services")
    assert site.controls.asked == []


def test_an_override_in_place_of_another_says_so(site: ServedSite) -> None:
    site.controls.replaced = [override_document(replace(DRAINED, by="bob"))]
    _, out, _ = site.ctl("disable", "cp1", "text_443", "--for", "1h", "--reason", "x")
    assert out.endswith(": x (before, it was drained by bob until 23:13 UTC: new kernel)\n")


def test_an_override_that_is_not_as_it_seems_says_so(site: ServedSite) -> None:
    site.controls.notes = ["text_443: cp1 still gets connections, as cp2 is pooled"]
    _, out, _ = site.ctl("disable", "cp1", "text_443", "--for", "1h", "--reason", "x")
    assert out.splitlines()[1:] == site.controls.notes


@pytest.mark.parametrize("missing", ["--for", "--reason"])
def test_nothing_goes_without_an_end_and_a_reason(site: ServedSite, missing: str) -> None:
    words = {"--for": "1h", "--reason": "x"}
    del words[missing]
    with pytest.raises(SystemExit) as ended:
        site.ctl("drain", "cp1", *(word for pair in words.items() for word in pair))
    assert ended.value.code == 2
    assert site.controls.asked == []


@pytest.mark.parametrize(
    "words",
    [
        "drain text_443 cp1 --for 1h --reason x",
        "why text_443 cp1",
        "why text_443",
        "server text_443",
    ],
)
def test_a_service_in_place_of_the_host_is_told(site: ServedSite, words: str) -> None:
    status, _, errors = site.ctl(*words.split())
    assert status == 1
    assert errors.endswith(
        ". text_443 is a service (pybalctl pool text_443); here HOST comes first\n"
    )


def test_overrides_are_listed_and_shown_wherever_the_server_is(site: ServedSite) -> None:
    status, out, _ = site.ctl("overrides")
    assert status == 0
    (_, _, absent, drained) = out.splitlines()
    assert "not in effect: it is not in the pool list" in absent
    cells = ["text_443", "cp1", "drain", "alice", "60 s", "2023-11-14 23:13 UTC", "new kernel"]
    assert drained.split() == " ".join(cells).split()
    said = "drained by alice until 23:13 UTC: new kernel"
    for words in ("pool text_443", "server cp1", "why cp1"):
        assert said in site.ctl(*words.split())[1], words
    assert "1 overridden" in site.ctl("status")[1]
    document = json.loads(site.ctl("overrides", "--json")[1])
    assert [each["in_effect"] for each in document["overrides"]] == [True, False]
    site.view.override_list = ()
    assert "no overrides" in site.ctl("overrides")[1]


def test_an_alert_is_known_for_a_time(site: ServedSite) -> None:
    status, out, _ = site.ctl("ack", "too-small", "--for", "2h", "--reason", "4711")
    assert (status, out) == (
        0,
        "too-small is acknowledged by anna until 2023-11-15 00:13 UTC: 4711\n",
    )
    assert site.ctl("unack", "too-small", "text_443")[0] == 0
    assert site.controls.asked == [
        ("ack", "too-small", None, 7200.0, "4711"),
        ("unack", "too-small", "text_443"),
    ]


CHECKED = {
    "service": "text_443",
    "host": "cp1",
    "address": "192.0.2.10",
    "up": False,
    "checks": [
        {
            "monitor": "ProxyFetch",
            "up": False,
            "reason": "timed out",
            "duration_s": 5.0,
            "exchange": [{"at_s": 0.01, "text": "connecting to 192.0.2.10:443"}],
        }
    ],
}


def test_a_check_by_hand_says_what_was_found_and_on_demand_how(site: ServedSite) -> None:
    site.controls.checked = CHECKED
    status, out, _ = site.ctl("check", "text_443", "cp1")
    assert (status, out.splitlines()) == (
        1,
        ["text_443: cp1 (192.0.2.10)", "ProxyFetch: down after 5.000 s: timed out"],
    )
    assert "  0.010 s  connecting to" in site.ctl("check", "text_443", "cp1", "-v")[1]
    site.controls.checked = {**CHECKED, "up": True}
    assert site.ctl("check", "text_443", "cp1")[0] == 0
    assert site.ctl("check", "nosuch", "cp1")[0] == 1


def test_a_draining_server_is_shown_as_such_with_what_is_left(site: ServedSite) -> None:
    for words in ("pool text_443", "server cp1", "why cp1"):
        out = site.ctl(*words.split())[1]
        assert "enabled/up/draining" in out, words
        assert "connections not counted" in out, words
    assert "1 draining; 1 overridden" in site.ctl("status")[1]


def test_programs_are_told_of_an_error_as_json_too(site: ServedSite) -> None:
    status, out, errors = site.ctl("check", "nosuch", "cp1", "--json")
    document = json.loads(out)
    assert status == 1
    assert document == {
        "error": "There is no service nosuch",
        "remedy": "Look at /api/v1/services",
    }
    assert errors.count("\n") == 1
