"""What the overview says of BGP, the kernel, lists, the configuration and the director, as it is
read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybal.bgp.snapshot import (
    AnnouncedPrefix,
    HeldAnnouncement,
    MaintenanceSnapshot,
    OthersRoute,
    OwnAddress,
)
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.ipvs.snapshot import (
    AuditSnapshot,
    DrainSnapshot,
    DriftSnapshot,
    KernelErrorSnapshot,
    MissingSnapshot,
)
from pybal.kept_change import KeptSnapshot
from pybal.model import HealthSnapshot, IsolationSnapshot, SourceSnapshot
from pybal.override import Action, Override
from pybal.page.sections import (
    bgp_section,
    config_section,
    daemon_section,
    held_words,
    kernel_section,
    lists_section,
    overrides_section,
    source_notes,
)
from tests.fakes.view import CONFIG, DAEMON, NO_BGP, NOON, bgp, ipvs
from tests.page.reading import facts, words

AT = "2023-11-14 22:13:20 UTC"


def override(host: str, ends_in_s: float) -> Override:
    return Override("web", host, Action.DRAIN, "alice", "new disk", NOON, NOON + ends_in_s)


def test_overrides_are_there_with_what_ends_soonest_first() -> None:
    assert words(overrides_section("x", ())) == "None."
    some = (override("b", 60), override("a", 0))
    assert words(overrides_section("x", some)) == (
        f"a of web [drain off] by alice: new disk, ends {AT} / "
        "b of web [drain off] by alice: new disk, ends 2023-11-14 22:14:20 UTC"
    )


@pytest.mark.parametrize(
    ("number", "more"), [(20, ""), (21, "and 1 more"), (1021, "and 1,001 more")]
)
def test_of_many_overrides_twenty_are_shown(number: int, more: str) -> None:
    shown = words(overrides_section("x", tuple(override(f"h{n}", n) for n in range(number))))
    assert shown.count(" of web") == 20
    assert shown.partition("and ")[2] == more.partition("and ")[2]


# -- BGP ----------------------------------------------------------------------------------------


def prefix(number: int, *peers: str) -> AnnouncedPrefix:
    return AnnouncedPrefix(f"192.0.2.{number}/32", "192.0.2.254", None, (), (), ("web",), peers)


SPEAKER = replace(bgp(("192.0.2.1", True), ("192.0.2.2", False)), router_id="192.0.2.9")
FIRST, SECOND = SPEAKER.peers


def test_bgp_that_is_off_has_no_peers() -> None:
    assert words(bgp_section("x", NO_BGP)) == "BGP is off."


def test_peers_without_a_session_come_first() -> None:
    first = FIRST._replace(asn=64601, description="rack 1", since=NOON, bfd="UP")
    second = SECOND._replace(last_error="refused", last_error_at=NOON)
    announced = (prefix(80, "192.0.2.1"), prefix(81))
    assert words(
        bgp_section("x", replace(SPEAKER, peers=(first, second), announced=announced))
    ) == (
        "AS 64600, router id 192.0.2.9, 2 prefixes to announce / "
        "Peers / Peer | State | Since | Prefixes | Last error | / "
        f"192.0.2.2 | [Active warning] | never | 0/2 | refused ({AT}) | / "
        f"192.0.2.1AS 64601 rack 1 | [Established, BFD UP ok] | {AT} | 1/2 | — |"
    )


def test_a_session_without_the_bfd_that_is_wanted_is_a_warning() -> None:
    without = FIRST._replace(asn=64601, since=NOON, bfd="DOWN")
    shown = words(bgp_section("x", replace(SPEAKER, peers=(without,))))
    assert "[Established, BFD DOWN warning]" in shown


def test_a_speaker_without_a_router_id_and_with_one_prefix() -> None:
    shown = words(bgp_section("x", replace(SPEAKER, router_id=None, announced=(prefix(80),))))
    assert shown.startswith("AS 64600, router id not known, 1 prefix to announce / Peers / ")


@pytest.mark.parametrize(
    "changes",
    [
        {"maintenance": (MaintenanceSnapshot(None, NOON, withdrawn=True),)},
        {"held": (HeldAnnouncement("dns", 7, 60.0),)},
    ],
    ids=str,
)
def test_each_of_what_is_not_as_ever_is_said_by_itself(changes: dict[str, Any]) -> None:
    assert "<ul><li>" in bgp_section("x", replace(SPEAKER, **changes))
    assert "<ul>" not in bgp_section("x", SPEAKER)


def test_what_is_not_announced_as_ever_is_said() -> None:
    maintenance = (
        MaintenanceSnapshot(None, NOON, withdrawn=True),
        MaintenanceSnapshot("web", NOON, withdrawn=False),
    )
    held = (HeldAnnouncement("dns", 7, 60.0),)
    shown = words(bgp_section("x", replace(SPEAKER, maintenance=maintenance, held=held)))
    assert shown.split(" / ")[1:4] == [
        f"Maintenance: this director, withdrawn, since {AT}",
        f"Maintenance: web, the last choice, since {AT}",
        "dns is not announced again yet: withdrawn 7 times lately",
    ]


def own(preferred: str | None, *, shared: bool = False, number: int = 80) -> OwnAddress:
    address = f"192.0.2.{number}/32"
    other = OthersRoute("192.0.2.1", address, None, 0, None, (), 1, (), "alike")
    return OwnAddress(address, True, preferred, (other,), shared)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (own("us"), "[we ok]"),
        (own("others"), "[others off]"),
        (own("both"), "[some routers us, some others degraded]"),
        (own("alike"), "[both alike warning]"),
        (own("alike", shared=True), "[both alike ok]"),
        (own("nobody"), "[neither degraded]"),
        (own(None), "[nobody can tell off]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_is_preferred_of_those_who_announce_an_address(found: OwnAddress, state: str) -> None:
    shown = words(bgp_section("x", replace(SPEAKER, own=(found,)))).split(" / ")[1]
    assert shown == f"192.0.2.80/32 is announced by others, too: preferred are {state}"


@pytest.mark.parametrize(("number", "more"), [(20, 0), (21, 1), (23, 3)])
def test_of_many_addresses_that_others_announce_twenty_are_shown(number: int, more: int) -> None:
    many = tuple(own("us", number=n) for n in range(number))
    shown = words(bgp_section("x", replace(SPEAKER, own=many)))
    assert shown.count("is announced by others") == 20
    assert (f"and {more} more addresses that others announce" in shown) == bool(more)


def test_addresses_that_we_announce_alone_are_not_shown() -> None:
    alone = OwnAddress("192.0.2.80/32", True, "us")
    assert "192.0.2.80" not in bgp_section("x", replace(SPEAKER, own=(alone,)))
    assert "<ul" not in bgp_section("x", replace(SPEAKER, own=(alone,)))


# -- the kernel ---------------------------------------------------------------------------------


def test_a_table_that_is_as_it_should_be() -> None:
    shown = kernel_section("x", ipvs())
    assert facts(shown) == {
        "table": "[in sync ok]",
        "holds": "1 service, 2 servers",
        "changes": "3, 0 errors",
        "last audit": "never",
    }
    assert "<h3" not in shown


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"in_sync": False}, "table", "[changes under way degraded]"),
        ({"dry_run": True}, "table", "[dry run: nothing is changed off]"),
        ({"dry_run": True, "in_sync": False}, "table", "[dry run: nothing is changed off]"),
        ({"changes_total": 1234, "errors_total": 1}, "changes", "1,234, 1 error"),
        ({"audit": AuditSnapshot(1, NOON)}, "last audit", AT),
        ({"last_error": KernelErrorSnapshot(NOON, "no")}, "last error", f"no ({AT})"),
        ({"ownership_error": "disk full"}, "not on record", "disk full"),
        ({"unmanaged": tuple("abcdef")}, "left alone", "a, b, c, d, e and 1 more"),
    ],
)
def test_what_else_there_is_to_say_of_the_table(
    changes: dict[str, Any], name: str, said: str
) -> None:
    assert facts(kernel_section("x", ipvs()._replace(**changes)))[name] == said


def items(title: str, shown: str) -> list[str]:
    """What stands beneath a heading."""
    return shown.partition(f"{title} / ")[2].split(" / ")


def test_what_the_kernel_refuses_what_others_changed_and_what_drains() -> None:
    table = ipvs()._replace(
        names=(("tcp 192.0.2.1:80", "web"),),
        missing=(
            MissingSnapshot("dns"),
            MissingSnapshot("web", ("a", "b"), 3),
            MissingSnapshot("www", otherwise=True),
        ),
        audit=AuditSnapshot(
            drift=(
                DriftSnapshot("dns", NOON, ("x", "y"), repaired=True),
                DriftSnapshot("web", NOON, ("z",), repaired=False),
            )
        ),
        draining=(
            DrainSnapshot("tcp 192.0.2.1:80", "198.51.100.1:80", 9.0, 1),
            DrainSnapshot("udp 192.0.2.1:53", "198.51.100.2:53", 9.0, None),
        ),
    )
    shown = words(kernel_section("x", table))
    assert items("Refused by the kernel", shown)[:4] == [
        "[refused critical] dns",
        "[refused critical] web: a, b",
        "[refused critical] www, which stands otherwise than it should",
        "Changed by others",
    ]
    assert items("Changed by others", shown)[:3] == [
        f"[repaired warning] dns: x; y ({AT})",
        f"[not repaired warning] web: z ({AT})",
        "Draining",
    ]
    assert items("Draining", shown) == [
        "198.51.100.1:80 of web, 1 connection",
        "198.51.100.2:53 of udp 192.0.2.1:53",
    ]


@pytest.mark.parametrize(
    ("number", "last"), [(20, "and 0 more"), (21, "and 1 more"), (25, "and 5 more")]
)
def test_of_many_twenty_are_shown(number: int, last: str) -> None:
    drain = DrainSnapshot("dns", "a", 9.0, None)
    drift = DriftSnapshot("web", NOON, ("z",), repaired=False)
    shown = words(
        kernel_section(
            "x",
            ipvs()._replace(
                missing=(MissingSnapshot("dns"),) * number,
                audit=AuditSnapshot(drift=(drift,) * number),
                draining=(drain,) * number,
            ),
        )
    )
    for title in ("Refused by the kernel", "Changed by others", "Draining"):
        beneath = items(title, shown)
        assert (last in beneath[20:21]) == (number > 20)
        assert beneath[19].startswith("[") or beneath[19] == "a of dns"
    assert shown.count("a of dns") == shown.count("[not repaired") == 20
    assert shown.count("and ") == (3 if number > 20 else 0)


# -- lists --------------------------------------------------------------------------------------

FINE = SourceSnapshot("file:///x", False, NOON, None)
OLD = FINE._replace(stale=True, last_error="refused", damage=("line 1", "line 2"), kept=("a", "b"))
HELD = KeptSnapshot(("a", "b"), NOON, False, 1, 2, (), 600)


def test_lists_that_are_as_published() -> None:
    assert words(lists_section("x", ())) == "0 pool lists in force as published."
    assert words(lists_section("x", (("web", FINE, ()),))) == "1 pool list in force as published."


def test_what_is_wrong_with_a_list() -> None:
    some = (("web", OLD, (HELD,)), ("dns", FINE, ()), ("mail", FINE, ()))
    assert words(lists_section("x", some)) == (
        f"web[old list warning] the last good one is of {AT} / last error: refused / "
        "[damaged warning] line 1 / [damaged warning] line 2 / kept for that reason: a, b / "
        f"[held warning] the list takes away a, b: 1 would be left that work, list-floor wants 2,"
        f" since {AT} / The other 2 are in force as published."
    )


@pytest.mark.parametrize(
    ("number", "more"), [(20, ""), (21, "and 1 more"), (1025, "and 1,005 more")]
)
def test_of_many_lists_twenty_are_shown(number: int, more: str) -> None:
    shown = words(lists_section("x", tuple((f"s{n}", OLD, ()) for n in range(number))))
    assert shown.count("old list") == 20
    assert shown.endswith(
        f"{more} / The other 0 are in force as published."
        if more
        else "kept for that reason: a, b / The other 0 are in force as published."
    )


def test_a_source_that_was_never_read_and_much_damage() -> None:
    notes = source_notes(OLD._replace(last_good_at=None, damage=("x",) * 25, last_error=None))
    assert words(notes[0]) == "[no list warning] none that is good has come yet"
    assert len(notes) == 1 + 20 + 1 + 1
    assert words(notes[21]) == "and 5 more"
    assert source_notes(FINE) == []


def test_a_change_waits_or_is_held() -> None:
    assert words(held_words(HELD._replace(waiting=True))) == (
        f"[waits warning] the list takes away a, b: until servers of the new list work, since {AT}"
    )
    many = HELD._replace(servers=tuple(f"h{n}" for n in range(25)))
    assert "h19 and 5 more: 1 would be left" in words(held_words(many))


# -- the configuration --------------------------------------------------------------------------


def test_a_configuration_that_is_as_on_disk() -> None:
    assert facts(config_section("x", CONFIG)) == {
        "file": "/etc/pybal/pybal.conf",
        "state": "[runs as it is on disk ok]",
        "loaded": AT,
        "modified": AT,
    }


GONE_OVER = ReloadSnapshot(NOON, ReloadOutcome.APPLIED, (), ("adds web", "changes dns"))
REFUSED = ReloadSnapshot(NOON, ReloadOutcome.REFUSED, ("line 3: no",), ())
LAST_GOOD = "[runs the last good one: the file had errors at the start warning]"


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"is_last_good": True, "differs_since": NOON}, "state", LAST_GOOD),
        ({"in_part": ("oops",), "is_last_good": True}, "state", "[runs in part warning]: oops"),
        ({"differs_since": NOON}, "state", f"[differs from disk degraded] since {AT}"),
        ({"loaded_at": 0.0}, "loaded", "never"),
        ({"modified_at": None}, "modified", "unknown"),
        ({"needs_restart": ("ip", "port")}, "waits for a restart", "ip, port"),
        (
            {"last_reload": GONE_OVER},
            "last reload",
            f"[gone over to ok] {AT}adds web / changes dns",
        ),
        ({"last_reload": REFUSED}, "last reload", f"[refused warning] {AT}line 3: no"),
        (
            {"last_reload": ReloadSnapshot(NOON, ReloadOutcome.IN_PART, ("oops",), ("adds web",))},
            "last reload",
            f"[applied in part warning] {AT}oops",
        ),
        (
            {"last_reload": GONE_OVER._replace(steps=())},
            "last reload",
            f"[gone over to ok] {AT}",
        ),
    ],
)
def test_what_else_there_is_to_say_of_the_configuration(
    changes: dict[str, Any], name: str, said: str
) -> None:
    assert facts(config_section("x", CONFIG._replace(**changes)))[name] == said


def test_of_many_steps_twenty_are_shown() -> None:
    reload = ReloadSnapshot(NOON, ReloadOutcome.APPLIED, (), ("adds web",) * 25)
    section = config_section("x", CONFIG._replace(last_reload=reload))
    assert section.count("adds web") == 20
    assert "and 5 more" in section
    few = reload._replace(steps=reload.steps[:20])
    assert "more" not in config_section("x", CONFIG._replace(last_reload=few))


# -- the director -------------------------------------------------------------------------------


def test_a_director_that_is_well() -> None:
    assert facts(daemon_section("x", DAEMON)) == {
        "version": "9.8.7",
        "started": AT,
        "isolation": "off",
        "longest stall": "0 s",
    }


def test_a_director_that_is_not() -> None:
    health = HealthSnapshot(
        gaps=2,
        longest_stall_s=1.5,
        local_fault="no descriptors",
        local_faults=(("EMFILE", 1234), ("ENOBUFS", 1)),
        isolation=IsolationSnapshot("isolated", NOON, 3),
    )
    assert facts(daemon_section("x", DAEMON._replace(dry_run=True, health=health))) == {
        "version": "9.8.7, dry run",
        "started": AT,
        "isolation": f"[cut off from its servers critical] since {AT}",
        "isolated so far": "3 times",
        "lacks": "[no descriptors warning]",
        "local faults": "EMFILE 1,234, ENOBUFS 1",
        "longest stall": "1.5 s",
        "lost time": "2 gaps",
    }
