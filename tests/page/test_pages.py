"""The page over HTTP: paths, headers, what is escaped."""

from __future__ import annotations

import gzip
import html
import re
from dataclasses import replace

import pytest

from pybal.bgp.snapshot import OthersRoute, OwnAddress
from pybal.ipvs.snapshot import DriftSnapshot, KernelErrorSnapshot, MissingSnapshot
from pybal.kept_change import KeptSnapshot
from pybal.model import Alert, HoldDown, Severity, SourceSnapshot
from pybal.override import Action, LaidOver, Override
from pybal.page.overview import alerts_section
from pybal.page.seen import SinceAlert
from tests.fakes.view import (
    NOON,
    FakeView,
    bgp,
    held,
    ipvs,
    large_view,
    monitor,
    server,
    service,
)
from tests.page.visitor import BROWSER, Visitor

EVIL = "<script>alert('x')</script><img src=x onerror=\"y\">"


def view() -> FakeView:
    down = monitor("ProxyFetch", up=False, reason="answered 503")
    return FakeView(
        [
            service("fine_80", [server("cp1"), server("cp2")]),
            service("text_443", [server("cp1"), server("cp2", up=False, monitors=(down,))]),
        ],
        bgp_snapshot=bgp(("192.0.2.1", True)),
    )


def test_a_browser_is_led_from_the_root_to_the_page_and_nobody_else_is() -> None:
    visitor = Visitor(view())
    led = visitor.get("/", {"Accept": BROWSER})
    assert (led.status, led.headers["location"]) == (302, "/status")
    assert "accept" in led.headers["vary"]
    for accept in ("*/*", "application/json", "text/plain", "text/*", "text/plain, text/html"):
        answer = visitor.get("/", {"Accept": accept})
        assert answer.status == 404
        assert "The desired url was not found" in answer.text
    assert visitor.get("/").text == "The desired url was not found"


@pytest.mark.parametrize("path", ["/pools", "/alerts", "/metrics", "/api/v1/services", "/nosuch"])
def test_the_other_paths_stay_as_they_are_for_browsers_too(path: str) -> None:
    answer = Visitor(view()).get(path, {"Accept": BROWSER})
    assert not answer.headers["content-type"].startswith("text/html")


def test_the_page_allows_nothing_of_elsewhere_and_nothing_inline() -> None:
    visitor = Visitor(view())
    for path in ("/status", "/status/text_443", "/status/nosuch"):
        answer = visitor.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        text = answer.text
        assert not re.search(
            r"<script(?! src=\"/status\.js)|<style| style=| on\w+=|https?://", text
        )


def test_services_come_worst_first_and_the_host_that_is_out_is_named() -> None:
    text = Visitor(view()).page()
    assert text.index("/status/text_443") < text.index("/status/fine_80")
    assert "ProxyFetch: answered 503" in text
    assert '<meta http-equiv="refresh" content="15">' in text.partition("<noscript>")[2]


def test_a_service_shows_its_servers_with_what_their_monitors_said_last_and_why() -> None:
    snapshots = view()
    one = snapshots.service_list[1]
    cause = "ProxyFetch reported down: answered 503"
    kept = one.servers[1]._replace(pooled=True, decision=held(cause))
    snapshots.service_list = [one._replace(servers=(one.servers[0], kept))]
    text = Visitor(snapshots).page("/status/text_443")
    assert text.index("cp2") < text.index("cp1")
    assert "answered 503" in text and "250 ms" not in text
    assert "kept pooled though down" in text
    assert "2 of 4 were up, 2.64 required, 3 pooled then" in text
    assert 'datetime="2023-11-14T22:13:20.000Z"' in text


def test_an_operators_word_is_shown_wherever_the_server_is() -> None:
    word = Override("text_443", "cp1", Action.DRAIN, "alice", "new kernel", NOON, NOON + 60)
    snapshots = view()
    one = snapshots.service_list[1]
    drained = one.servers[0]._replace(weight=0, over=LaidOver(word, 10, listed_enabled=True))
    snapshots.service_list = [one._replace(servers=(drained, one.servers[1]))]
    snapshots.override_list = (word,)
    visitor = Visitor(snapshots)
    assert "by alice: new kernel, ends" in visitor.page()
    text = visitor.page("/status/text_443")
    assert "drained by alice until" in text
    assert "1 drained by an operator" in text


def test_a_service_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    answer = Visitor(view()).get(f"/status/{html.escape('<b>')}")
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "/status/fine_80" in answer.text and "<b>" not in answer.text


@pytest.mark.parametrize("path", ["/status", "/status/text_443", "/status/no", "/status.css"])
def test_head_is_get_without_the_body_and_nothing_can_be_changed(path: str) -> None:
    visitor = Visitor(view())
    get, head = visitor.get(path), visitor.get(path, method="HEAD")
    assert (head.status, head.body) == (get.status, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    for method in ("POST", "PUT", "DELETE"):
        assert visitor.get(path, method=method).status == 405


def test_what_comes_from_outside_is_shown_as_text_wherever_it_comes_from() -> None:
    source = SourceSnapshot(f"file:///{EVIL}", True, NOON, EVIL, (EVIL,), (EVIL,))
    change = KeptSnapshot((EVIL,), NOON, False, 1, 2, (), 600)
    snapshots = view()
    bad = server(
        EVIL, up=False, monitors=(monitor(EVIL, up=False, reason=EVIL),), decision=held(EVIL)
    )
    named = service(EVIL, [bad], source=source)._replace(held=(change,))
    snapshots.service_list = [named]
    peer = snapshots.bgp_snapshot.peers[0]._replace(last_error=EVIL, description=EVIL)
    snapshots.bgp_snapshot = replace(snapshots.bgp_snapshot, peers=(peer,))
    snapshots.daemon_snapshot = snapshots.daemon_snapshot._replace(host=EVIL, version=EVIL)
    snapshots.config_snapshot = snapshots.config_snapshot._replace(path=EVIL, needs_restart=(EVIL,))
    table = ipvs()._replace(
        last_error=KernelErrorSnapshot(NOON, EVIL),
        unmanaged=(EVIL,),
        missing=(MissingSnapshot(EVIL, (EVIL,)),),
    )
    drift = DriftSnapshot(EVIL, NOON, (EVIL,), repaired=False)
    snapshots.ipvs_snapshot = table._replace(audit=table.audit._replace(drift=(drift,)))
    visitor = Visitor(snapshots)
    path = "/status/" + "".join(f"%{byte:02x}" for byte in EVIL.encode())
    for text in (
        visitor.page(),
        visitor.page(path),
        visitor.page("/status?q=%3Cscript%3E"),
        visitor.page("/status?q=%22%3E%3Cscript%3E"),
    ):
        assert text.count("<script") == 1  # the page's own
        assert "<img" not in text and 'onerror="' not in text
        assert text.count(html.escape(EVIL)) > 1
    whole = visitor.stream().changes()[0]
    for piece in whole["pieces"].values():
        assert "<script" not in piece and "<img" not in piece


def test_a_server_that_stays_though_its_list_takes_it_away_says_so() -> None:
    snapshots = view()
    (one, *rest) = snapshots.service_list
    host = one.servers[0].host
    words = " its pool list takes it away"
    page = f"/status/{one.name}"
    assert words not in Visitor(snapshots).page(page)
    change = KeptSnapshot((host,), NOON, False, 1, 2, (), 600)
    snapshots.service_list = [one._replace(held=(change,)), *rest]
    assert Visitor(snapshots).page(page).count(words) == 1


def test_servers_of_all_services_are_found_by_a_part_of_their_name() -> None:
    text = Visitor(view()).page("/status?q=CP2")
    found = text.partition('id="servers-found">')[2].partition("</section>")[0]
    assert "1 host in 2 places" in found
    assert found.index("/status/text_443?q=cp2") < found.index("/status/fine_80?q=cp2")
    assert 'value="CP2"' in text
    assert "no such" not in Visitor(view()).page("/status?q=" + "x" * 3000)


def test_style_and_script_may_be_kept_until_they_are_others() -> None:
    visitor = Visitor(view())
    text = visitor.page()
    for name in ("status.css", "status.js", "status.svg"):
        link = re.search(rf'"(/{name}\?v=\w+)"', text)
        assert link is not None
        answer = visitor.get(link[1])
        assert "immutable" in answer.headers["cache-control"]
        tag = answer.headers["etag"]
        again = visitor.get(link[1], {"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
        assert visitor.get(f"/{name}?v=other").headers["cache-control"] == "no-cache"
        assert visitor.get(f"/{name}").body == answer.body
    packed = visitor.get("/status.css", {"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == visitor.get("/status.css").body


@pytest.mark.slow
def test_the_largest_site_is_one_page_of_its_services_compressed_if_asked_for() -> None:
    visitor = Visitor(large_view())
    text = visitor.page()
    assert text.count('<tr id="service-') == 116
    assert len(text) < 150_000
    packed = visitor.get("/status", {"Accept-Encoding": "gzip"})
    assert len(packed.body) < 20_000
    assert gzip.decompress(packed.body).startswith(b"<!DOCTYPE html>")
    assert visitor.page("/status/service-0_443").count('<tr id="server-') == 240


def test_a_server_that_flaps_is_shown_as_held_back_and_a_known_alert_as_known() -> None:
    snapshots = view()
    one = snapshots.service_list[1]
    flaps = one.servers[0]._replace(pooled=False, hold_down=HoldDown(4, 600.0, NOON + 60))
    snapshots.service_list = [one._replace(servers=(flaps, one.servers[1]))]
    text = Visitor(snapshots).page("/status/text_443")
    assert "went down 4 times within 10 min" in text
    alert = Alert("too-small", Severity.OK, None, "It is too small (known to alice)")
    assert ">known</span>" in alerts_section("a", (SinceAlert(alert, NOON),))


def test_addresses_that_others_announce_too_are_shown() -> None:
    snapshots = view()
    address = "198.51.100.1/32"
    other = OthersRoute("192.0.2.1", address, "192.0.2.9", 0, None, (64600,), 1, (), "alike")
    shared = OwnAddress(address, True, "alike", (other,))
    alone = OwnAddress("198.51.100.2/32", True, "us")
    snapshots.bgp_snapshot = replace(snapshots.bgp_snapshot, imports=True, own=(shared, alone))
    text = Visitor(snapshots).page()
    assert "198.51.100.1/32 is announced by others, too: preferred are" in text
    assert "both alike" in text and "198.51.100.2/32" not in text
