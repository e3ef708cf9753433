"""What stands out in the lines of pybalctl, and what is said of each state."""

from __future__ import annotations

from typing import Any

import pytest

from pybal.ctl.render import (
    ago,
    check_lines,
    clock_time,
    heading,
    pool_lines,
    server_lines,
    since,
    sources_lines,
    status_lines,
    why_lines,
)
from pybal.ctl.table import Line, Style

NOW = 1_700_000_600.0
THEN = {"epoch": NOW - 300, "iso": "2023-11-14T22:18:20Z"}
NO_BGP: dict[str, Any] = {"enabled": False}
SOURCE: dict[str, Any] = {
    "url": "file:///pool", "stale": False, "damage": [], "kept": [], "last_good": THEN,
    "last_error": None,
}  # fmt: skip


def counts(servers: int, enabled: int, up: int, pooled: int, **more: int) -> dict[str, int]:
    return {"servers": servers, "enabled": enabled, "up": up, "pooled": pooled, "pooled_down": 0,
            "held": 0, **more}  # fmt: skip


def service(name: str = "web", numbers: dict[str, int] | None = None, **more: Any) -> Any:
    return {
        "name": name, "protocol": "tcp", "address": "192.0.2.1", "port": 80, "scheduler": "wrr",
        "counts": numbers or counts(2, 2, 2, 2), "source": SOURCE, "depool_threshold": 0.5,
        "held": [], "servers": [], **more,
    }  # fmt: skip


def note(numbers: dict[str, int], **source: Any) -> tuple[str, Style]:
    """What stands beside a service with these counts, and how it looks."""
    document = service(numbers=numbers, source={**SOURCE, **source})
    _, _, line = status_lines([document], NO_BGP)
    return " ".join(line.text.split()[7:]), line.style


@pytest.mark.parametrize(
    ("numbers", "words", "style"),
    [
        (counts(2, 2, 2, 2), "", Style.PLAIN),
        (counts(0, 0, 0, 0), "no servers", Style.BAD),
        (counts(2, 0, 0, 0), "all disabled", Style.WORSE),
        (counts(2, 2, 0, 0), "none is up; none is pooled", Style.BAD),
        (counts(3, 3, 2, 2), "1 down", Style.WORSE),
        (counts(3, 2, 2, 2), "1 disabled", Style.PLAIN),
        (counts(3, 2, 3, 2), "1 disabled", Style.PLAIN),
        (counts(2, 2, 1, 2, pooled_down=1), "1 down; 1 pooled though down", Style.BAD),
        (counts(2, 2, 2, 0), "none is pooled", Style.BAD),
        (counts(2, 2, 2, 2, draining=1, overridden=2), "1 draining; 2 overridden", Style.PLAIN),
        (counts(2, 2, 2, 2, held=1), "1 held: pybalctl pool web", Style.WORSE),
    ],
)
def test_how_bad_a_service_is_and_why(numbers: dict[str, int], words: str, style: Style) -> None:
    assert note(numbers) == (words, style)


def test_a_list_that_is_not_as_it_should_be_is_said() -> None:
    well = counts(2, 2, 2, 2)
    assert note(well, stale=True) == ("list is stale", Style.WORSE)
    assert note(well, damage=["x"]) == ("list is damaged", Style.WORSE)


def test_the_worst_services_come_first_and_of_equals_those_with_fewer_up() -> None:
    services = [
        service("well"),
        service("half", counts(2, 2, 1, 1)),
        service("most", counts(4, 4, 3, 3)),
        service("big", counts(100, 100, 60, 60)),
        service("also", counts(2, 2, 1, 1)),
        service("empty", counts(0, 0, 0, 0)),
    ]
    first, titles, *lines = status_lines(services, NO_BGP)
    assert first == Line("6 services, 5 of them to look at; BGP is off")
    assert titles.text.split() == "SERVICE ADDRESS SERVERS ENABLED UP POOLED NOTE".split()
    assert [line.text.split()[0] for line in lines] == [
        "empty",
        "also",
        "half",
        "big",
        "most",
        "well",
    ]


def test_the_first_line_is_a_summary() -> None:
    peers = [{"established": True}, {"established": False}]
    bgp: dict[str, Any] = {"enabled": True, "peers": peers, "maintenance": []}
    assert status_lines([], bgp) == [Line("no services; 1 of 2 BGP peers established")]
    (first, *_) = status_lines([service()], {**bgp, "maintenance": [{"service": None}]})
    assert first.text == "1 service, all well; 1 of 2 BGP peers established; in maintenance"
    (first, *_) = status_lines([service()], {**bgp, "maintenance": [{"service": "web"}]})
    assert first.text.endswith("; 1 service in maintenance")


def test_whom_nobody_can_check_is_not_said_to_be_well() -> None:
    alert = {"id": "isolated", "severity": "critical", "service": None}
    (first, *_) = status_lines([service()], NO_BGP, [alert])
    assert first.text == "1 service, held as they are; BGP is off"
    fault = {**alert, "id": "local-fault", "severity": "warning"}
    (first, *_) = status_lines([service()], NO_BGP, [fault])
    assert first.text == "1 service, all well as far as they are checked; BGP is off"
    (first, *_) = status_lines([service(numbers=counts(2, 2, 1, 1))], NO_BGP, [fault])
    assert first.text == "1 service, 1 of them to look at; BGP is off"


@pytest.mark.parametrize(
    ("id_", "severity", "words", "style"),
    [
        ("no-address", "warning", "no-address", Style.WORSE),
        ("not-in-kernel", "critical", "not-in-kernel", Style.BAD),
        ("maintenance", "ok", "maintenance", Style.PLAIN),
        ("list-stale", "warning", "", Style.PLAIN),  # its counts say it
    ],
)
def test_a_service_shows_the_alerts_that_its_counts_do_not(
    id_: str, severity: str, words: str, style: Style
) -> None:
    about: dict[str, Any] = {"id": id_, "severity": severity, "service": "web"}
    others = [{**about, "service": None}, {**about, "service": "other"}]
    web = service("web", counts(2, 2, 2, 2))
    line = status_lines([web], NO_BGP, [about, about, *others])[-1]
    assert (" ".join(line.text.split()[7:]), line.style) == (words, style)


DAEMON: dict[str, Any] = {
    "version": "1.2", "dry_run": False, "director": {"name": "lvs1"}, "started_at": THEN,
    "config": {}, "health": {"isolation": {"since": None}},
}  # fmt: skip
HEAD = Line("PyBal 1.2 on lvs1, running for 5 min", Style.HEAD)


@pytest.mark.parametrize(
    ("config", "lines"),
    [
        (None, []),
        ({"last_reload": {"successful": True}}, []),
        (
            {"is_last_good": True, "last_reload": {"successful": False}},
            [Line("The last good pybal.conf runs: the file has errors", Style.BAD)],
        ),
        (
            {"last_reload": {"successful": False}, "differs_since": THEN},
            [
                Line(
                    "pybal.conf was refused, the former one runs: pybal --check-config says why",
                    Style.BAD,
                )
            ],
        ),
        (
            {"last_reload": {"successful": False, "outcome": "applied in part"}},
            [
                Line(
                    "pybal.conf was applied in part: pybalctl reload does what is missing",
                    Style.BAD,
                )
            ],
        ),
        (
            {
                "last_reload": {"successful": False, "outcome": "refused"},
                "is_last_good": True,
                "in_part": ["KeyError: 'web'"],
            },
            [
                Line("The last good pybal.conf runs: the file has errors", Style.BAD),
                Line(
                    "pybal.conf was applied in part: pybalctl reload does what is missing",
                    Style.BAD,
                ),
            ],
        ),
        (
            {
                "last_reload": {"successful": False, "outcome": "refused"},
                "in_part": ["KeyError: 'web'"],
            },
            [
                Line(
                    "pybal.conf was applied in part: pybalctl reload does what is missing",
                    Style.BAD,
                ),
                Line(
                    "pybal.conf was refused, what was applied in part runs: "
                    "pybal --check-config says why",
                    Style.BAD,
                ),
            ],
        ),
        (
            {"differs_since": THEN},
            [
                Line(
                    "pybal.conf on disk is not what runs: pybalctl config diff, pybalctl reload",
                    Style.WORSE,
                )
            ],
        ),
    ],
)
def test_what_is_wrong_with_the_configuration_is_said(config: Any, lines: list[Line]) -> None:
    assert heading({**DAEMON, "config": config}, NOW) == [HEAD, *lines]


def test_a_dry_run_and_a_director_that_is_cut_off_are_said() -> None:
    (line,) = heading({**DAEMON, "dry_run": True}, NOW)
    assert line == Line(f"{HEAD.text}, a dry run: IPVS is left alone", Style.HEAD)
    cut_off = {"isolation": {"since": THEN}}
    words = (
        "This director seems to be cut off from its servers, for 5 min: failures wait, "
        "pools are held as they are"
    )
    assert heading({**DAEMON, "health": cut_off}, NOW)[1:] == [Line(words, Style.BAD)]


def server(host: str = "cp1", **more: Any) -> dict[str, Any]:
    return {
        "service": "web", "host": host, "address": "192.0.2.10", "weight": 10,
        "state": "enabled/up/pooled", "enabled": True, "up": True, "pooled": True, "ready": True,
        "draining": None, "override": None, "monitors": [], "why": None, **more,
    }  # fmt: skip


DOWN = {"up": False, "pooled": False}


def rows(servers: list[dict[str, Any]]) -> list[Line]:
    return [Line(" ".join(line.text.split()), line.style) for line in server_lines(servers)[1:]]


def reason(**more: Any) -> str:
    (line,) = rows([server(**more)])
    return line.text.partition("enabled/up/pooled ")[2]


def test_servers_of_a_pool_are_sorted_by_how_bad_they_are() -> None:
    servers = [
        server("well"),
        server("out", **DOWN),
        server("off", enabled=False, **DOWN),
        server("held", up=False),
        server("idle", pooled=False),
    ]
    head, first, titles, *lines = pool_lines(service(servers=servers), NOW)
    assert head == Line("web: tcp 192.0.2.1:80, wrr", Style.HEAD)
    words = "depool threshold 0.5; list file:///pool, last good 5 min ago"
    assert (first, titles.text.split()[0]) == (Line(words), "HOST")
    assert [(line.text.split()[0], line.style) for line in lines] == [
        ("held", Style.BAD),
        ("idle", Style.WORSE),
        ("out", Style.WORSE),
        ("off", Style.PLAIN),
        ("well", Style.PLAIN),
    ]
    assert pool_lines(service(), NOW)[2:] == [Line("no servers", Style.BAD)]


def test_a_list_that_is_stale_or_damaged_is_explained_at_its_pool() -> None:
    def said(**source: Any) -> list[Line]:
        pool = service(servers=[server()], source={**SOURCE, **source})
        return pool_lines(pool, NOW)[2:-2]

    assert said() == []
    never = "the list is stale: no reading of it has succeeded since the start"
    assert said(stale=True) == [Line(never, Style.WORSE)]
    assert said(stale=True, last_error="gone") == [Line("the list is stale: gone", Style.WORSE)]
    assert said(damage=["a", "b"], kept=["cp1", "cp2"]) == [
        Line("the list is damaged: a", Style.WORSE),
        Line("the list is damaged: b", Style.WORSE),
        Line("kept meanwhile: cp1, cp2", Style.WORSE),
    ]


def test_servers_of_several_services_are_sorted_the_same_way() -> None:
    servers = [server(service="b"), server(service="a"), server(service="c", up=False)]
    assert [(line.text.split()[0], line.style) for line in rows(servers)] == [
        ("c", Style.BAD),
        ("a", Style.PLAIN),
        ("b", Style.PLAIN),
    ]


def monitor(name: str = "Ping", up: bool | None = False, **last: Any) -> dict[str, Any]:
    result = {"up": bool(up), "reason": "timed out", "at": THEN, "duration_s": 0.25, **last}
    return {"name": name, "up": up, "since": THEN, "last_result": result if last or up else None}


def test_what_is_the_matter_with_a_server_is_its_reason() -> None:
    assert reason() == ""
    assert reason(ready=False) == "its address is not known"
    assert reason(monitors=[monitor(up=True), monitor("UDP")]) == "UDP: no result yet"
    failed = [monitor(up=True), monitor("UDP", reason="refused"), monitor("TCPCheck")]
    assert reason(monitors=failed) == "UDP: refused"
    unlimited = {"connections": 1, "seconds_left": None}
    assert reason(draining=unlimited) == "1 connection left"
    assert reason(draining={"connections": 2, "seconds_left": 90}) == "2 connections left, for 90 s"
    assert reason(draining={"connections": None, "seconds_left": 9}) == "connections not counted"
    over = {"text": "drained by anna", "suspended": ""}
    assert reason(override=over, ready=False) == "drained by anna; its address is not known"
    assert reason(override={**over, "suspended": "too few"}) == "not drained by anna: too few"
    flapped = {"hold_down": {"flaps": 4, "until": THEN}}
    assert reason(why=flapped).startswith("up; flapped 4 times: held down until 20")
    assert reason(why={"hold_down": None}) == ""


def test_why_tells_all_that_is_known_of_a_server() -> None:
    def said(**more: Any) -> list[Line]:
        first, *lines = why_lines([server(**more)], NOW)
        assert first.text == "web: cp1 is enabled/up/pooled"
        return lines

    nothing = Line("  Nothing has been decided yet.")
    assert said() == [nothing]
    assert said(why={"text": "cp1 is pooled"}) == [Line("  cp1 is pooled")]
    draining = {"connections": 3, "seconds_left": None}
    assert said(draining=draining)[1:] == [Line("  It drains: 3 connections left")]
    over = {"text": "drained by anna", "suspended": ""}
    words = Line("  An operator's override: drained by anna", Style.WORSE)
    assert said(override=over)[1:] == [words]
    assert said(ready=False)[1:] == [
        Line("  Its address is not known; the log says why (resolver).", Style.BAD)
    ]
    held = {"servers": ["cp1"], "since": THEN, "waiting": True, "left": 1, "required": 2}
    text = "the list takes away cp1: waits for its new servers to work, for 5 min"
    assert said(held=held)[1:] == [Line(f"  Kept: {text}", Style.WORSE)]
    text = (
        "the list takes away cp1, which would leave 1 of the 2 that are required: held for 5 min;"
        " pybalctl confirm web"
    )
    assert said(held={**held, "waiting": False})[1:] == [Line(f"  Kept: {text}", Style.WORSE)]
    assert why_lines([server(up=False)], NOW)[0].style is Style.BAD


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (monitor(up=None), Line("  Ping: unknown, no result yet")),
        (monitor(up=False), Line("  Ping: down, no result yet", Style.BAD)),
        (
            monitor(up=True),
            Line("  Ping: up for 5 min; last check 5 min ago took 0.250 s: good"),
        ),
        (
            monitor(up=False, reason="refused"),
            Line("  Ping: down for 5 min; last check 5 min ago took 0.250 s: refused", Style.BAD),
        ),
        (
            monitor(up=False, reason=""),
            Line("  Ping: down for 5 min; last check 5 min ago took 0.250 s: failed", Style.BAD),
        ),
        (
            monitor("IdleConnection", up=True),
            Line(
                "  IdleConnection: up for 5 min; its connection of 5 min ago took 0.250 s: good,"
                " and it is held"
            ),
        ),
        (
            monitor("IdleConnection", up=False, reason="reset"),
            Line(
                "  IdleConnection: down for 5 min; last check 5 min ago took 0.250 s: reset",
                Style.BAD,
            ),
        ),
    ],
)
def test_what_a_monitor_last_found(shown: dict[str, Any], line: Line) -> None:
    assert why_lines([server(monitors=[shown])], NOW)[2:] == [line]


def test_a_check_by_hand_is_green_or_red() -> None:
    steps = [{"at_s": 0.01, "text": "connecting"}]
    checks = [
        {"monitor": "Ping", "up": up, "reason": "because", "duration_s": 1.5, "exchange": steps}
        for up in (True, False, None)
    ]
    document = {"service": "web", "host": "cp1", "address": "192.0.2.10", "checks": checks}
    lines = [
        Line("web: cp1 (192.0.2.10)", Style.HEAD),
        Line("Ping: up after 1.500 s: because", Style.GOOD),
        Line("Ping: down after 1.500 s: because", Style.BAD),
        Line("Ping: no result after 1.500 s: because", Style.BAD),
    ]
    assert check_lines(document, verbose=False) == lines
    step = Line("    0.010 s  connecting")
    head, *others = lines
    assert check_lines(document, verbose=True) == [
        head,
        *(each for line in others for each in (line, step)),
    ]


def test_sources_that_trouble_come_first() -> None:
    def of(name: str, **source: Any) -> Any:
        return service(name, source={**SOURCE, **source})

    services = [
        of("b"),
        of("a"),
        of("failed", last_error="refused"),
        of("stale", stale=True),
        of("torn", stale=True, damage=["x", "y"], last_good=None),
    ]
    lines = [(line.text.split(), line.style) for line in sources_lines(services, NOW)]
    assert lines == [
        ("SERVICE STATE LAST GOOD SOURCE ERROR".split(), Style.HEAD),
        ("failed good 5 min ago file:///pool refused".split(), Style.WORSE),
        ("stale stale 5 min ago file:///pool".split(), Style.WORSE),
        ("torn stale+damaged never file:///pool x; y".split(), Style.WORSE),
        ("a good 5 min ago file:///pool".split(), Style.PLAIN),
        ("b good 5 min ago file:///pool".split(), Style.PLAIN),
    ]


def test_moments_that_never_were() -> None:
    assert (ago(None, NOW), since(None, NOW), clock_time(None)) == ("never", "-", "-")
    assert (ago(THEN, NOW), since(THEN, NOW)) == ("5 min ago", "5 min")
    assert clock_time(THEN) == "2023-11-14 22:18 UTC"
