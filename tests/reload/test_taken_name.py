"""A service that a failed reload has removed, and another one that takes its name in the next: what
operators have said of the former is not meant for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybal.announce.announcer import Announcer
from pybal.daemon.overrides_part import OverridesPart
from pybal.reload.service_names import Ways, renames_of, taken_names
from tests.fakes.daemon import DaemonBench
from tests.reload.test_failed_reload import disable, disabled, failing, made, reloaded
from tests.reload.test_renamed import config

WEB, OTHER, THIRD = "tcp 192.0.2.1:80", "tcp 192.0.2.2:80", "tcp 192.0.2.3:80"


@pytest.mark.parametrize(
    ("ways", "now", "taken"),
    [
        ((), {"web": WEB}, ()),
        (({"web": WEB},), {"web": OTHER}, ()),  # Its address was changed.
        (({"web": WEB}, {}), {"web": OTHER}, ("web",)),
        (({"web": WEB}, {}), {"web": WEB}, ()),
        (({"web": WEB}, {}, {"web": OTHER}), {"web": OTHER}, ("web",)),
        (({"web": WEB}, {"web": OTHER}, {}), {"web": WEB}, ()),
        (({"web": WEB}, {"web": OTHER}), {"web": THIRD}, ()),
        (({}, {"web": WEB}), {"web": OTHER}, ()),
    ],
)
def test_a_name_is_taken_by_what_was_not_called_so_before_it_had_gone(
    ways: Ways, now: dict[str, str], taken: tuple[str, ...]
) -> None:
    assert taken_names(ways, now) == set(taken)


def test_what_goes_on_under_another_name_leaves_none_of_its_words_behind() -> None:
    ways: Ways = ({"web": WEB}, {"text": WEB})
    assert renames_of(ways, {"text": WEB, "web": OTHER}) == (("web", "text"),)


def moved(folder: Path) -> str:
    """Another service is called web."""
    return config(folder, "dns", "web").replace("ip = 192.0.2.2", "ip = 192.0.2.9")


@pytest.mark.parametrize("restart", [False, True])
def test_an_override_of_the_former_is_none_of_the_latter(tmp_path: Path, restart: bool) -> None:
    bench = made(tmp_path, config(tmp_path, "dns", "web"))
    disable(bench, "web")
    with failing(Announcer, "forget"):
        assert not reloaded(bench, config(tmp_path, "dns")).successful
    if restart:
        bench.stop()
        bench = DaemonBench(tmp_path, moved(tmp_path), kernel=bench.kernel)
    else:
        assert reloaded(bench, moved(tmp_path)).successful
    assert disabled(bench) == []
    bench.stop()


def test_it_goes_on_for_the_former_under_its_other_name(tmp_path: Path) -> None:
    bench = made(tmp_path, config(tmp_path, "web"))
    disable(bench, "web")
    with failing(OverridesPart, "go_over_to"):
        assert not reloaded(bench, config(tmp_path, "text")).successful
    assert reloaded(bench, config(tmp_path, "text", "web")).successful
    assert disabled(bench) == [("text", "192.0.2.11")]
    bench.stop()


def test_what_is_said_of_the_latter_stays_though_its_reload_must_be_repeated(
    tmp_path: Path,
) -> None:
    bench = made(tmp_path, config(tmp_path, "dns", "web"))
    disable(bench, "web")
    with failing(Announcer, "forget"):
        assert not reloaded(bench, config(tmp_path, "dns")).successful
    with failing(OverridesPart, "gone_over_to"):
        assert not reloaded(bench, moved(tmp_path)).successful
    assert disabled(bench) == []
    disable(bench, "web")
    assert reloaded(bench, moved(tmp_path)).successful
    assert disabled(bench) == [("web", "192.0.2.11")]
    # Now this one is the former.
    with failing(Announcer, "forget"):
        assert not reloaded(bench, config(tmp_path, "dns")).successful
    assert reloaded(bench, config(tmp_path, "dns", "web")).successful
    assert disabled(bench) == []
    bench.stop()
