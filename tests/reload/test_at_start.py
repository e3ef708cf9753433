"""A start with a wrong file runs what was good, whatever is wrong with the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pybal.reload.at_start import configuration_at_start
from pybal.reload.last_good_config import LastGoodConfig, last_good_file
from pybal.reload.running import Running
from tests.config.texts import KINDS, load, service
from tests.fakes.log import FakeLog

WRONG = {
    "a typo": b"scheduler = wrrr\n",
    "a Latin-1 byte": b"class = caf\xe9\n",
    "a NUL": b"\0\n",
    "another encoding's line": "# \u20ac\n".encode("utf-16"),
    "more errors than are shown": b"".join(b"[s%d]\nport = x\n" % i for i in range(2000)),
    "a line without a value": b"half a li",
    "more lines than any file has": b"\n" * 200_001,
}


class Site:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "pybal.conf"
        self.state = folder / "state"
        self.log = FakeLog()
        self.good = "[global]\n" + service()
        last_good_file(self.state).save(
            LastGoodConfig(str(self.path), self.good, 10.0, 20.0, "lvs1")
        )

    def start(self, end: bytes, *, more: str = "") -> Running | None:
        head = f"[global]\nstate-directory = {self.state}\n{more}{service()}"
        self.path.write_bytes(head.encode() + end)
        assert load(self.path).settings is None
        return self.run()

    def run(self, *, strict: bool = False) -> Running | None:
        log = self.log.logger("pybal")
        result = load(self.path)
        return configuration_at_start(result, KINDS, 100.0, log, host="lvs1", strict=strict)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_the_last_good_one_is_found_where_the_wrong_file_says_it_is(
    site: Site, wrong: bytes
) -> None:
    running = site.start(wrong)
    assert running is not None
    assert running.is_last_good
    assert running.content.decode() == site.good


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("more", ["strict = yes\n", "dryrun = yes\n", "dry-run: True\n"])
@pytest.mark.slow
def test_a_strict_file_and_one_for_a_dry_run_are_replaced_by_none(
    site: Site, wrong: bytes, more: str
) -> None:
    assert site.start(wrong, more=more) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("content", "\ud800"),
        ("content", []),
        ("modified_at", float("nan")),
        ("modified_at", float("inf")),
        ("modified_at", -1e18),
        ("saved_at", 1e18),
        ("saved_at", None),
        ("host", 7),
        ("host", "lvs2"),
        ("path", "/etc/pybal/other.conf"),
    ],
)
def test_a_damaged_record_is_no_last_good_one_and_no_crash(
    site: Site, key: str, value: Any
) -> None:
    file = last_good_file(site.state).path
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    assert site.start(WRONG["a typo"]) is None


TWO = service("one") + "depool-threshold = .25\n" + service("two", ip="192.0.2.2")


def cut_off(site: Site, at: str, *, more: str = "", host: str = "lvs1") -> bytes:
    """The file is what was good, up to there."""
    whole = f"[global]\nstate-directory = {site.state}\n{more}{TWO}".encode()
    good = LastGoodConfig(str(site.path), whole.decode(), 10.0, 20.0, host)
    last_good_file(site.state).save(good)
    site.path.write_bytes(whole[: whole.index(at.encode())])
    return whole


@pytest.mark.parametrize("at", ["5\n[two]", "two]", "= .25", ".2.2"])
def test_a_file_cut_off_amid_a_line_is_replaced_by_what_was_good(site: Site, at: str) -> None:
    whole = cut_off(site, at)
    running = site.run()
    assert running is not None
    assert running.is_last_good
    assert running.content == whole
    assert len(running.settings.services) == 2


@pytest.mark.parametrize("at", ["\n[two]", "[two]"])
def test_a_file_that_ends_with_a_line_runs_though_there_was_more(site: Site, at: str) -> None:
    cut_off(site, at)
    running = site.run()
    assert running is not None
    assert not running.is_last_good
    assert len(running.settings.services) == 1
    assert site.log.lines == []


def test_what_is_cut_off_is_said_with_its_line(site: Site) -> None:
    cut_off(site, "5\n[two]")
    site.run()
    line = len(site.path.read_bytes().splitlines())
    (said,) = site.log.lines
    assert said.startswith(f"[pybal] ERROR: {site.path}:{line}: ends amid this line, which goes on")


def test_a_strict_file_that_is_cut_off_is_not_run(site: Site) -> None:
    cut_off(site, "5\n[two]", more="strict = yes\n")
    assert site.run() is None


@pytest.mark.parametrize(
    ("more", "host", "strict"),
    [("dryrun = yes\n", "lvs1", False), ("", "lvs2", False), ("", "lvs1", True)],
)
def test_a_dry_run_another_host_and_a_strict_command_line_compare_nothing(
    site: Site, more: str, host: str, *, strict: bool
) -> None:
    cut_off(site, "5\n[two]", more=more, host=host)
    running = site.run(strict=strict)
    assert running is not None
    assert not running.is_last_good
