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


def variants(random: Random) -> str:
    text = random.choice(["", "[DEFAULT]\nscheduler = sh\n"])
    text += "[global]\n" + random.choice(
        ["", "list-floor = .8\n", "flap-damping = no\n", "x = 1\n"]
    )
    text += random.choice(["", "bgp = yes\nbgp-local-asn = 1\nbgp-peer-address = 192.0.2.1\n"])
    text += "\n" * random.randrange(3)
    for name in random.sample(["one", "two", "three", "four"], random.randrange(1, 5)):
        options = random.choice(
            [{}, {"depool_threshold": ".7"}, {"scheduler": "wrrr"}, {"bgp_med": "5"}, {"y": "1"}]
        )
        text += service(name, ip=f"192.0.2.{random.randrange(1, 4)}", **options)
        text += random.choice(["", "proxyfetch.url = http://x/\n", "monitors = ['TCPCheck']\n"])
    return text


@pytest.mark.parametrize("seed", range(2 * settings().max_examples))
def test_a_reading_with_what_is_known_is_the_same_as_without(seed: int) -> None:
    random = Random(seed)
    known = NOTHING_KNOWN
    for _ in range(4):
        text = variants(random)
        with_known, without = parse(text, "f", KINDS, known=known), parse(text, "f", KINDS)
        assert replace(with_known, known=None) == replace(without, known=None), text
        known = with_known.known


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


def test_a_file_that_has_gone_is_missed_though_its_section_is_as_before(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("x")
    text = "[global]\n" + service(
        "one", monitors="['ProxyFetch']", proxyfetch__url="https://x/",
        proxyfetch__ca_file=str(authority), proxyfetch__tls_verify="yes",
    )  # fmt: skip
    first = parse(text, "f", KINDS)
    authority.unlink()
    again = parse(text, "f", KINDS, known=first.known)
    assert replace(again, known=None) == replace(parse(text, "f", KINDS), known=None)
    assert again.problems
