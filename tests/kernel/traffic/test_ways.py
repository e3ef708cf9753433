"""Every way to a real server: the client gets its answers through the VIP, what comes to the real
server has the form that pybal.conf asks for, and a restart of the daemon ends no connection."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import pytest

from tests.kernel.traffic.scene import NOBODY, Scene
from tests.kernel.traffic.services import WAYS, Service
from tests.kernel.traffic.talk import PORT, Line, wire

NAMED = {service.name: service for service in WAYS}


@pytest.mark.parametrize("service", WAYS, ids=lambda service: service.name)
def test_answers_come_through_the_vip_from_every_server(scene: Scene, service: Service) -> None:
    with wire(scene.stage.reals[0], of=[scene.stage.director]) as seen:
        answers = [scene.who(service) for _ in range(6)]
    assert sorted(answers) == ["real1", "real1", "real2", "real2", "real3", "real3"]
    assert service.seen in seen


@pytest.mark.parametrize("version", [4, 6])
def test_a_service_of_a_mark_takes_every_port(scene: Scene, version: int) -> None:
    marked, direct = NAMED[f"mark{version}"], NAMED[f"direct{version}"]
    answers = {scene.who(marked, port=PORT + 1) for _ in range(3)}
    assert answers == {"real1", "real2", "real3"}
    assert scene.who(direct, port=PORT + 1) == NOBODY


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_what_was_opened_before_a_restart_goes_on_after_it(scene: Scene, ending: str) -> None:
    # A packet of its own is no connection.
    kept = [service for service in WAYS if not service.name.startswith("one-packet")]
    before = scene.table()
    with ExitStack() as stack:
        lines = {
            (service.name, number): stack.enter_context(scene.line(service))
            for service in kept
            for number in range(3)
        }
        answers = ask_all(lines)
        assert set(answers.values()) == {"real1", "real2", "real3"}
        scene.pybal.stop() if ending == "stop" else scene.pybal.kill()
        assert ask_all(lines) == answers
        scene.pybal.start()
        scene.wait_until_settled()
        assert ask_all(lines) == answers
        assert NOBODY not in {scene.who(service) for service in kept}
    assert scene.pybal.json("/api/v1/ipvs")["changes_total"] == 0
    assert scene.table() == before


def ask_all(lines: Mapping[tuple[str, int], Line]) -> dict[tuple[str, int], str]:
    """Who answers on which line, or why nobody does."""
    found = {}
    for key, line in lines.items():
        try:
            found[key] = line.ask()
        except OSError as error:
            found[key] = repr(error)
    return found
