"""An operator drains one of two servers that have the same address."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from twisted.internet.defer import Deferred

from pybal.model import IPAddress
from pybal.override import Action
from pybal.overrides.wish import Scope, Wish
from tests.fakes.daemon import DaemonBench, Literals
from tests.fakes.deferreds import result_of
from tests.reload.test_renamed import config


class OneAddress(Literals):
    """All names have the same."""

    def watch(
        self,
        host: str,
        family: int,
        on_change: Callable[[IPAddress | None], None],
        service: str,
    ) -> Literals:
        on_change(ip_address("192.0.2.11"))
        return self


def test_the_answer_says_what_comes_of_it(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("{'host': 'a.example'}\n{'host': 'b.example'}\n")
    bench = DaemonBench(tmp_path, config(tmp_path, "web"), addresses=lambda _: OneAddress())
    wish = Wish(Action.DRAIN, Scope("a.example", ("web",)), 3600.0, "new disk", force=True)
    answer = result_of(Deferred.fromCoroutine(bench.daemon.controls.override(wish, "alice")))
    (note,) = answer["notes"]
    assert note.startswith("web: b.example gets no new connections, as a.example has weight 0")
    bench.stop()
