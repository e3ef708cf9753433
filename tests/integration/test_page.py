"""The status page in a headless Chromium, against a live daemon whose servers go down and up."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser import Browser
from tests.integration.page_site import (
    EVIL,
    EVIL_SERVICE,
    LARGEST_SIZES,
    STATUS,
    PageSite,
    largest,
    name,
)
from tests.namespace import Namespace
from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
ROW = """
const row = [...document.querySelectorAll("#services tr")]
    .find((row) => row.querySelector("a").textContent === arguments[0]);
return row && row.querySelector(".state").textContent === arguments[1] && row.innerText"""
LIVE = "return document.getElementById('live')?.textContent === 'live'"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSite]:
    with PageSite(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def one_browser(site: PageSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser"), site.namespace.wrap) as made:
        yield made


@pytest.fixture
def browser(one_browser: Browser) -> Iterator[Browser]:
    one_browser.screen(1280, 900)
    one_browser.complaints()
    yield one_browser
    # Violations of the page's own policy, errors of its script, anything that is not there.
    assert one_browser.complaints() == []


def picture(browser: Browser, file_name: str) -> None:
    """For the documents, if PYBAL_PICTURES names their folder."""
    folder = os.environ.get("PYBAL_PICTURES")
    if folder:
        time.sleep(2)  # what has just changed is marked for a moment
        browser.picture(Path(folder, file_name))


def violations(browser: Browser) -> list[str]:
    """What axe finds wrong with the page as it is."""
    axe = subprocess.run([ROOT / "scripts/axe"], check=True, capture_output=True, text=True)
    # By the protocol, not by the page, whose policy lets no script of elsewhere run.
    source = Path(axe.stdout.splitlines()[-1]).read_text("utf-8")
    browser.devtools("Runtime.evaluate", {"expression": source})
    found: list[dict[str, Any]] = browser.run(
        "return axe.run(document, {resultTypes: ['violations']}).then((all) => all.violations)"
    )
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]


def test_servers_that_go_down_and_up_are_shown_without_a_reload(
    site: PageSite, browser: Browser
) -> None:
    browser.open(STATUS)
    browser.until(LIVE)
    browser.until(ROW, "kartotherian-ssl_443", "ok")
    browser.run("window.before = 1")
    for real in (10, 13, 14):
        site.down(real)
    browser.until(ROW, "kartotherian-ssl_443", "degraded")
    browser.until(ROW, "dns_rec_53", "critical")
    out = browser.until(
        "return [...document.querySelectorAll('#hosts tr')].map((row) => row.innerText)"
        ".find((text) => text.includes(arguments[0]) && text.includes('8 services'))",
        name(10),
    )
    assert "refused" in out or "closed" in out or "reset" in out or "hung up" in out, out
    assert browser.run("return document.querySelector('#services tr').className") != "ok"
    picture(browser, "status.png")
    browser.screen(390, 844, phone=True)
    picture(browser, "status-phone.png")
    browser.screen(1280, 900)
    for real in (10, 13, 14):
        site.up(real)
    browser.until(ROW, "kartotherian-ssl_443", "ok")
    browser.until(ROW, "dns_rec_53", "ok")
    assert browser.run("return window.before") == 1


def test_a_service_shows_its_servers_and_what_their_monitors_say(
    site: PageSite, browser: Browser
) -> None:
    site.down(4)
    browser.open(f"{STATUS}/textlb_443")
    first = "return document.querySelector('#servers tr').innerText"
    row = browser.until(f"const text = (() => {{ {first} }})(); return /down/.test(text) && text")
    assert name(4) in row and "10.9.0.4" in row
    assert " down" in row and "ago" in row
    browser.until(f"return /ProxyFetch down[^]*refused/.test((() => {{ {first} }})())")
    assert "depooled" in row and "required" in row
    assert browser.text("#verdict").startswith("DEGRADED 7 of 8 servers up, 7 pooled")
    picture(browser, "status-service.png")
    browser.screen(390, 844, dark=True, phone=True)
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    picture(browser, "status-phone-dark.png")
    site.up(4)
    browser.until("return !/down/.test(document.getElementById('servers').innerText)")


def test_names_reasons_and_urls_made_of_html_are_text(site: PageSite, browser: Browser) -> None:
    path = f"/{quote(EVIL_SERVICE, safe='')}"
    browser.open(STATUS)
    browser.until(LIVE)
    # Live, too: what the stream brings is put in with the same care.
    site.add_evil()
    browser.until("return document.body.innerText.includes(arguments[0])", EVIL_SERVICE)
    assert browser.run("return window.harm || document.images.length") == 0
    for where in ("", path, f"?q={quote(EVIL)}", f"{path}?q={quote(EVIL)}"):
        browser.open(STATUS + where)
        browser.until(LIVE)
        browser.until("return document.body.innerText.includes('window.harm')")
        assert browser.run("return window.harm || document.images.length") == 0
        assert browser.run("return document.scripts.length") == 1
        assert not browser.run("return !!document.querySelector('main b b, th b, td script')")
    browser.open(STATUS + path)
    url = f"http://en.example.org/{EVIL.replace(' ', '')}"
    for said in (EVIL_SERVICE, f": {EVIL}", url):  # by its name, its command, its URL
        browser.until("return document.body.innerText.includes(arguments[0])", said)
    site.write_pool("evil", [name(14), name(13), "<i>x</i><img src=x onerror=window.harm=3>"])
    browser.until("return document.body.innerText.includes('cp3073')")
    assert browser.run("return window.harm || document.images.length") == 0


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_wrong(site: PageSite, browser: Browser, dark: bool, phone: bool) -> None:
    browser.screen(*((390, 844) if phone else (1280, 900)), dark=dark, phone=phone)
    paths = ["", "/textlb_443", f"/{quote(EVIL_SERVICE, safe='')}", "?q=cp306"]
    for path in paths if phone is dark else paths[:1]:
        browser.open(STATUS + path)
        browser.until(LIVE)
        assert violations(browser) == [], path
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), path


def test_axe_would_find_something(browser: Browser, site: PageSite) -> None:
    browser.open(STATUS)
    browser.run("document.querySelector('label').remove()")
    browser.run("document.querySelector('input').removeAttribute('placeholder')")
    assert any(each.startswith("label: ") for each in violations(browser))


def test_it_is_used_by_keyboard_and_its_link_can_be_sent(site: PageSite, browser: Browser) -> None:
    visible = """return [...document.querySelectorAll('#services tr')]
        .filter((row) => row.getClientRects().length).length"""
    browser.open(STATUS)
    browser.until(LIVE)
    everything = browser.run(visible)
    browser.type("/ncredir")
    browser.until(f"return (() => {{ {visible} }})() === 1")
    address = browser.run("return location.href")
    assert address.endswith("/status?q=ncredir")
    browser.open("about:blank")
    browser.open(address)
    browser.until(f"return (() => {{ {visible} }})() === 1")
    browser.type("/\ue00c")  # Escape
    browser.until(f"return (() => {{ {visible} }})() === {everything}")
    # A host is found in all services, by the server.
    browser.type(name(3)[:6])
    found = browser.until(
        "const t = document.getElementById('servers-found').innerText; "
        "return t.includes(arguments[0]) && t",
        name(3),
    )
    assert "k8s-ingress-1_30443" in found
    # What has the focus keeps it when its row changes.
    browser.open(STATUS)
    browser.until(LIVE)
    focused = "return document.activeElement.textContent"
    browser.run("""[...document.querySelectorAll('#services a')]
        .find((link) => link.textContent === 'ncredir_80').focus()""")
    site.down(2)
    browser.until("return document.activeElement.closest('tr')?.innerText.includes('1/2')")
    assert browser.run(focused) == "ncredir_80"
    site.up(2)
    browser.type("\ue004")  # Tab
    assert browser.run("return document.activeElement.tagName") == "A"


def test_where_the_stream_does_not_get_through_it_is_renewed_all_the_same(
    site: PageSite, one_browser: Browser
) -> None:
    one_browser.screen(1280, 900)
    one_browser.open(STATUS)
    one_browser.until(LIVE)
    one_browser.until(ROW, "ncredir_80", "ok")
    # A path that is answered with 404 stands for a proxy, or for too many viewers.
    one_browser.run("document.body.dataset.stream = '/status.stream?of=nosuch'; open()")
    one_browser.until("return document.getElementById('live').textContent.startsWith('renewed')")
    site.down(1)
    one_browser.run("renew()")
    until(lambda: not one_browser.run("renew()") and one_browser.run(ROW, "ncredir_80", "degraded"))
    site.up(1)
    one_browser.complaints()  # that there is no such stream


def test_without_javascript_it_is_a_plain_table_that_reloads(
    site: PageSite, browser: Browser
) -> None:
    browser.scripts(on=False)
    try:
        browser.open(STATUS)
        assert "ncredir_80" in browser.text("#services")
        assert browser.text("#live") == "reloads every 15 s"
        assert browser.run("return document.querySelector('meta[http-equiv=refresh]').content")
        assert "UTC" in browser.text("#daemon")
        browser.open(f"{STATUS}?q=ncredir")
        assert "ncredir_80" in browser.text("#servers-found")
        picture(browser, "status-plain.png")
    finally:
        browser.scripts(on=True)


def test_it_is_live_again_after_a_restart(site: PageSite, one_browser: Browser) -> None:
    one_browser.screen(1280, 900)
    one_browser.open(STATUS)
    one_browser.until(LIVE)
    site.pybal.stop()
    one_browser.until("return document.getElementById('live').className === 'late'")
    site.pybal.start()
    one_browser.until(LIVE)
    one_browser.until(ROW, "ncredir_80", "ok")
    # After an upgrade the page itself is another one.
    one_browser.run("window.before = 1; document.body.dataset.build = 'old'; open()")
    one_browser.until("return !window.before")
    one_browser.until(LIVE)
    one_browser.complaints()  # that it could not connect


def test_the_largest_director_stays_fluid(tmp_path: Path) -> None:
    with Namespace() as namespace:
        config = largest(tmp_path)
        with (
            RunningPybal(namespace.wrap, tmp_path, config, "-n") as pybal,
            Browser(tmp_path, namespace.wrap) as browser,
        ):
            until(lambda: pybal.get("/pools").count("\n") == len(LARGEST_SIZES))
            browser.screen(1280, 900)
            browser.open(STATUS)
            browser.until(LIVE)
            browser.until("return document.body.innerText.includes('11,095 servers')", timeout_s=60)
            assert browser.run("return document.querySelectorAll('#services tr').length") == 116
            browser.open(f"{STATUS}/service-0_443")
            browser.until(LIVE)
            assert browser.run("return document.querySelectorAll('#servers tr').length") == 240
            loaded_ms = browser.run(
                "const [all] = performance.getEntriesByType('navigation'); return all.duration"
            )
            # The work of a key that is pressed, and of all rows put in anew; at best, as other
            # work goes on.
            typed_ms, replaced_ms = browser.run("""
                const timed = (work) => Math.min(...[1, 2, 3, 4, 5].map((turn) => {
                    const began = performance.now();
                    work(turn);
                    document.body.getBoundingClientRect();
                    return performance.now() - began;
                }));
                const input = document.getElementById('q');
                const rows = [...document.querySelectorAll('#servers tr')];
                return [
                    timed((turn) => {
                        input.value = '1.' + turn;
                        input.dispatchEvent(new Event('input'));
                    }),
                    timed(() => apply({
                        pieces: Object.fromEntries(rows.map((row) => [row.id, row.outerHTML])),
                        order: {servers: rows.map((row) => row.id).reverse()},
                    })),
                ];""")
            print(f"loaded in {loaded_ms:.0f}, a key {typed_ms:.0f}, all {replaced_ms:.0f} ms")
            assert loaded_ms < 2000 and typed_ms < 100 and replaced_ms < 300
