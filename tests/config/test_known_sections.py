"""What is known of an earlier reading makes the next one quicker, and never different."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings

from pybal.config.known_sections import NOTHING_KNOWN
from pybal.config.loader import parse
from pybal.monitors.registry import BUILT_IN, kinds_of
from tests.config.texts import service

KINDS = kinds_of(BUILT_IN)
SAMPLES = sorted((Path(__file__).parents[1] / "data").rglob("pybal.conf*"))


def variants(random: Random, sections: dict[str, str]) -> str:
    """A text, some of whose sections are those of the last one, which `sections` has."""
    text = random.choice(["", "", "[DEFAULT]\nscheduler = sh\n"])
    text += "[global]\n" + random.choice(
        ["", "", "list-floor = .8\n", "flap-damping = no\n", "x = 1\n"]
    )
    text += random.choice(["", "bgp = yes\nbgp-local-asn = 1\nbgp-peer-address = 192.0.2.1\n"])
    text += "\n" * random.randrange(3)
    for name in random.sample(["one", "two", "three", "four"], random.randrange(1, 5)):
        if name not in sections or random.random() < 0.4:
            options: dict[str, str | None] = random.choice(
                [{}, {}, {"depool_threshold": ".7"}, {"scheduler": "wrrr"}, {"scheduler": None},
                 {"bgp_med": "5"}, {"y": "1"}]
            )  # fmt: skip
            sections[name] = service(name, ip=f"192.0.2.{random.randrange(1, 4)}", **options)
            sections[name] += random.choice(["", "", "proxyfetch.url = http://x/\n"])
        text += sections[name]
    return text


@pytest.mark.parametrize("seed", range(2 * settings().max_examples))
def test_a_reading_with_what_is_known_is_the_same_as_without(seed: int) -> None:
    random, sections = Random(seed), dict[str, str]()
    known = NOTHING_KNOWN
    for _ in range(4):
        text = variants(random, sections)
        with_known, without = parse(text, "f", KINDS, known=known), parse(text, "f", KINDS)
        assert replace(with_known, known=None) == replace(without, known=None), text
        known = with_known.known


def test_of_two_sections_the_one_that_changed_is_read_again() -> None:
    text = "[global]\n" + service("one") + service("two", ip="192.0.2.2")
    first = parse(text, "f", KINDS)
    again = parse("\n" + text.replace("192.0.2.2", "192.0.2.3"), "f", KINDS, known=first.known)
    assert again.problems == () and again.settings is not None
    assert [(s.name, str(s.address)) for s in again.settings.services] == [
        ("one", "192.0.2.1"),
        ("two", "192.0.2.3"),
    ]
    one, two = again.known.sections["one"], again.known.sections["two"]
    assert one.draft.settings is first.known.sections["one"].draft.settings
    assert two.draft.settings is not first.known.sections["two"].draft.settings
    as_before = parse(text, "f", KINDS, known=first.known)
    for name, known in first.known.sections.items():
        assert as_before.known.sections[name].draft.settings is known.draft.settings


@pytest.mark.parametrize("line", ["list-floor = .8", "flap-damping = no"])
def test_what_global_says_for_services_is_not_missed_by_one_that_is_known(line: str) -> None:
    text = "[global]\n" + service("one")
    first = parse(text, "f", KINDS)
    again = parse(text.replace("\n", f"\n{line}\n", 1), "f", KINDS, known=first.known)
    assert first.settings is not None and again.settings is not None
    assert again.settings.services != first.settings.services


def test_a_default_that_every_known_section_replaces_is_no_unknown_key() -> None:
    text = "[DEFAULT]\nscheduler = sh\n[global]\n" + service("one")
    known = parse(text, "f", KINDS).known
    assert "one" in known.sections
    assert parse(text + "\n", "f", KINDS, known=known).problems == ()


def test_a_default_that_is_wrong_is_told_of_by_whoever_inherits_it() -> None:
    text = "[DEFAULT]\nscheduler = wrrr\n[global]\n"
    one, two = service("one", scheduler=None), service("two", ip="192.0.2.2", scheduler=None)
    first = parse(text + one + two, "f", KINDS)
    assert [problem.section for problem in first.errors] == ["one"]
    again = parse(text + service("one") + two, "f", KINDS, known=first.known)
    assert [problem.section for problem in again.errors] == ["two"]


@pytest.mark.parametrize("path", SAMPLES, ids=str)
def test_of_a_file_that_is_read_again_all_sound_sections_are_known(path: Path) -> None:
    text = path.read_text()
    first = parse(text, "f", KINDS)
    again = parse("\n\n" + text, "f", KINDS, known=first.known)
    assert again.settings == first.settings
    assert [p.line for p in again.problems] == [(p.line or 0) + 2 for p in first.problems]
    for name, section in again.known.sections.items():
        assert section.draft.settings is first.known.sections[name].draft.settings


def test_a_section_with_a_problem_is_read_again_each_time() -> None:
    first = parse("[global]\n" + service("one", scheduler="wrrr"), "f", KINDS)
    assert "one" not in first.known.sections
    assert parse("[global]\n" + service("one"), "f", KINDS, known=first.known).settings is not None


def test_a_section_that_names_a_file_is_read_again_each_time() -> None:
    text = "[global]\n" + service(
        "one", port="443", monitors="['ProxyFetch']", proxyfetch__url="https://x/",
        proxyfetch__ca_file="/etc/ssl/x.pem", proxyfetch__tls_verify="yes",
    )  # fmt: skip
    first = parse(text + service("two", ip="192.0.2.2"), "f", KINDS)
    assert first.problems == ()
    assert set(first.known.sections) == {"two"}
