"""The package's unit on a booted Debian 12 and 13: what its signals do to the routes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.kernel.bgpsite import Site
from tests.kernel.debian import SUITES, Debian, install, shown
from tests.running import until
from tests.stage import VIP4, Stage

# To ask systemd takes a good part of the guest's one processor.
sometimes = partial(until, pause_s=0.5)


@pytest.fixture(scope="module", params=SUITES)
def booted(
    request: pytest.FixtureRequest,
    bgp_stage: Stage,
    package: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Debian]:
    """The first director, with the package installed."""
    host, folder = bgp_stage.directors[0], tmp_path_factory.mktemp(request.param)
    with Debian(request.param, folder, host.namespace) as debian:
        install(debian, package)
        yield debian


@pytest.fixture
def debian(booted: Debian, site: Site) -> Iterator[Debian]:
    """As it is after the installation: nothing is configured, and nothing has run."""
    yield booted
    booted.run("systemctl", "stop", "pybal")
    booted.run("rm", "-rf", "/etc/systemd/system/pybal.service.d", "/var/lib/pybal", "/srv/pools")
    booted.run("rm", "-f", "/etc/pybal/pybal.conf")
    booted.run("systemctl", "daemon-reload")
    booted.run("journalctl", "--rotate")
    booted.run("journalctl", "--vacuum-time=1us")


def set_up(debian: Debian, folder: Path, config: str) -> None:
    """The configuration, with the pool lists of `folder`; nothing is started."""
    shutil.copytree(folder, debian.shared / "pools")
    configure(debian, config.replace(str(folder), "/srv/pools"))


def configure(debian: Debian, text: str) -> None:
    """Write pybal.conf."""
    (debian.shared / "pybal.conf").write_text(text)
    debian.run("cp", "/srv/pybal.conf", "/etc/pybal")


def test_no_router_notices_a_restart_nor_kill_9_but_a_stop(debian: Debian, site: Site) -> None:
    host = site.first
    folder, config = site.configure(host)
    # A start may take half a minute here.
    site.router.restart(hold_time_s=240)
    set_up(debian, folder, config)
    debian.run("systemctl", "start", "pybal")
    site.wait_routed(host)
    sessions = site.seen(host, "BGP session established")

    with site.load.running():
        until(lambda: site.connections(host) > 20)
        debian.run("systemctl", "restart", "pybal")
        wait_for_life(1, debian)
        wait_for_traffic(site)
        for life in range(2, 6):
            # Most of these have not said READY yet.
            debian.run("systemctl", "kill", "--signal=KILL", "pybal")
            wait_for_life(life, debian)
        wait_for_traffic(site)
        sometimes(lambda: shown(debian, "ActiveState") == "active")
    assert site.seen(host, "BGP session established") == sessions
    assert_only_a_stop_withdraws(debian, site)


def assert_only_a_stop_withdraws(debian: Debian, site: Site) -> None:
    """No request has been lost and no route withdrawn so far; a stop withdraws both routes."""
    host = site.first
    assert site.load.failures == []
    assert site.withdrawals(host) == 0
    assert site.router.next_hop(VIP4) == str(host.ipv4)

    debian.run("systemctl", "stop", "pybal")
    site.wait_routed(None)
    until(lambda: "PyBal is stopping" in site.router.log)
    assert site.withdrawals(host) == 2


def wait_for_life(number: int, debian: Debian) -> None:
    """Until so many processes have gone on with the session of the one before."""
    words = "goes on from the process before us"
    try:
        sometimes(lambda: debian.run("journalctl", "--unit=pybal").count(words) == number)
    except AssertionError as error:
        raise AssertionError(debian.run("journalctl", "--unit=pybal", "--lines=60")) from error


def wait_in_journal(debian: Debian, text: str, *options: str) -> None:
    """Until it is there, where journald writes it a moment after."""
    sometimes(lambda: text in debian.run("journalctl", "--unit=pybal", *options))


def wait_for_traffic(site: Site) -> None:
    """Until more of it comes through."""
    during = site.connections(site.first)
    until(lambda: site.connections(site.first) > during + 20)


def test_without_handover_a_restart_keeps_the_routes_and_a_stop_withdraws_them(
    debian: Debian, site: Site
) -> None:
    host = site.first
    folder, config = site.configure(host, options="bgp-graceful-restart = yes\nhandover = no")
    set_up(debian, folder, config)
    debian.run("systemctl", "start", "pybal")
    site.wait_routed(host)

    with site.load.running():
        until(lambda: site.connections(host) > 20)
        sessions = site.seen(host, "BGP session established")
        debian.run("systemctl", "restart", "pybal")
        wait_in_journal(debian, "Exiting, for a restart...")
        during = site.connections(host)
        until(lambda: site.seen(host, "BGP session established") > sessions)
        until(lambda: "stale" not in site.router.ask("show route all"))
        until(lambda: site.connections(host) > during + 20)
    assert_only_a_stop_withdraws(debian, site)
    assert shown(debian, "ActiveState") == "inactive"


def test_a_typo_stops_nothing_by_reload_nor_by_restart(debian: Debian, site: Site) -> None:
    host = site.first
    folder, config = site.configure(host, options="bgp-graceful-restart = yes")
    good = config.replace(str(folder), "/srv/pools").replace("state-directory = none\n", "")
    set_up(debian, folder, good)

    debian.run("systemctl", "start", "pybal")
    site.wait_routed(host)
    assert "BGP" in shown(debian, "StatusText")
    process = shown(debian, "MainPID")

    with site.load.running():
        configure(debian, good.replace("scheduler = ", "scheduler = x"))
        debian.run("systemctl", "reload", "pybal", status=1)
        status = shown(debian, "StatusText")
        assert "REFUSED (/etc/pybal/pybal.conf:" in status and "scheduler = 'x" in status
        assert shown(debian, "MainPID") == process
        wait_in_journal(debian, "scheduler = 'x", "--priority=err")

        debian.run("systemctl", "restart", "pybal")
        assert "LAST GOOD" in shown(debian, "StatusText")
        site.wait_routed(host)
        good_one = "running the last configuration that was good"
        wait_in_journal(debian, good_one, "--priority=crit")

        configure(debian, good)
        debian.run("systemctl", "reload", "pybal")
        sometimes(lambda: "LAST GOOD" not in shown(debian, "StatusText"))
    assert site.load.failures == []


def test_a_process_that_stands_still_is_started_again_and_adopts_the_table(
    debian: Debian, site: Site
) -> None:
    host = site.first
    folder, config = site.configure(host, options="bgp-graceful-restart = yes")
    set_up(debian, folder, config)
    debian.run("mkdir", "-p", "/etc/systemd/system/pybal.service.d")
    (debian.shared / "watchdog.conf").write_text("[Service]\nWatchdogSec=3\n")
    debian.run("cp", "/srv/watchdog.conf", "/etc/systemd/system/pybal.service.d")
    debian.run("systemctl", "daemon-reload")
    debian.run("systemctl", "start", "pybal")
    process = shown(debian, "MainPID")
    site.wait_routed(host)
    with site.load.running():
        until(lambda: site.connections(host) > 5)
        debian.run("kill", "-STOP", process)
        sometimes(lambda: shown(debian, "MainPID") not in (process, "0"))
        sometimes(lambda: shown(debian, "ActiveState") == "active")
    assert site.load.failures == []
