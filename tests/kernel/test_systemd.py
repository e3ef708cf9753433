"""The package's unit on a booted Debian 12 and 13: what its signals do to the routes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kernel.bgpsite import Site
from tests.kernel.debian import SUITES, Debian, install, shown
from tests.running import until
from tests.stage import VIP4


def set_up(debian: Debian, package: Path, folder: Path, config: str) -> None:
    """The package and its configuration, with the pool lists of `folder`; nothing is started."""
    install(debian, package)
    shutil.copytree(folder, debian.shared / "pools")
    configure(debian, config.replace(str(folder), "/srv/pools"))


def configure(debian: Debian, text: str) -> None:
    """Write pybal.conf."""
    (debian.shared / "pybal.conf").write_text(text)
    debian.run("cp", "/srv/pybal.conf", "/etc/pybal")


@pytest.mark.parametrize("suite", SUITES)
def test_no_router_notices_a_restart_nor_kill_9_but_a_stop(
    suite: str, site: Site, package: Path, tmp_path: Path
) -> None:
    host = site.first
    folder, config = site.configure(host)
    # A start may take half a minute here.
    site.router.restart(hold_time_s=240)
    with Debian(suite, tmp_path, host.namespace) as debian:
        set_up(debian, package, folder, config)
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
            until(lambda: shown(debian, "ActiveState") == "active")
        assert site.load.failures == []
        assert site.seen(host, "BGP session established") == sessions
        assert site.withdrawals(host) == 0
        assert site.router.next_hop(VIP4) == str(host.ipv4)

        debian.run("systemctl", "stop", "pybal")
        site.wait_routed(None)
        assert "PyBal is stopping" in site.router.log
        assert site.withdrawals(host) == 2


def wait_for_life(number: int, debian: Debian) -> None:
    """Until so many processes have gone on with the session of the one before."""
    words = "goes on from the process before us"
    try:
        until(lambda: debian.run("journalctl", "--unit=pybal").count(words) == number)
    except AssertionError as error:
        raise AssertionError(debian.run("journalctl", "--unit=pybal", "--lines=60")) from error


def wait_for_traffic(site: Site) -> None:
    """Until more of it comes through."""
    during = site.connections(site.first)
    until(lambda: site.connections(site.first) > during + 20)


@pytest.mark.parametrize("suite", SUITES)
def test_without_handover_a_restart_keeps_the_routes_and_a_stop_withdraws_them(
    suite: str, site: Site, package: Path, tmp_path: Path
) -> None:
    host = site.first
    folder, config = site.configure(host, options="bgp-graceful-restart = yes\nhandover = no")
    with Debian(suite, tmp_path, host.namespace) as debian:
        set_up(debian, package, folder, config)
        debian.run("systemctl", "start", "pybal")
        site.wait_routed(host)

        with site.load.running():
            until(lambda: site.connections(host) > 20)
            sessions = site.seen(host, "BGP session established")
            debian.run("systemctl", "restart", "pybal")
            assert "Exiting, for a restart..." in debian.run("journalctl", "--unit=pybal")
            during = site.connections(host)
            until(lambda: site.seen(host, "BGP session established") > sessions)
            until(lambda: "stale" not in site.router.ask("show route all"))
            until(lambda: site.connections(host) > during + 20)
        assert site.load.failures == []
        assert site.withdrawals(host) == 0
        assert site.router.next_hop(VIP4) == str(host.ipv4)

        debian.run("systemctl", "stop", "pybal")
        site.wait_routed(None)
        assert "PyBal is stopping" in site.router.log
        assert site.withdrawals(host) == 2
        assert shown(debian, "ActiveState") == "inactive"


@pytest.mark.parametrize("suite", SUITES)
def test_a_typo_stops_nothing_by_reload_nor_by_restart(
    suite: str, site: Site, package: Path, tmp_path: Path
) -> None:
    host = site.first
    folder, config = site.configure(host, options="bgp-graceful-restart = yes")
    good = config.replace(str(folder), "/srv/pools").replace("state-directory = none\n", "")
    with Debian(suite, tmp_path, host.namespace) as debian:
        set_up(debian, package, folder, good)

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
            log = debian.run("journalctl", "--unit=pybal", "--priority=err")
            assert "scheduler = 'x" in log

            debian.run("systemctl", "restart", "pybal")
            assert "LAST GOOD" in shown(debian, "StatusText")
            site.wait_routed(host)
            log = debian.run("journalctl", "--unit=pybal", "--priority=crit")
            assert "running the last configuration that was good" in log

            configure(debian, good)
            debian.run("systemctl", "reload", "pybal")
            until(lambda: "LAST GOOD" not in shown(debian, "StatusText"))
        assert site.load.failures == []


@pytest.mark.parametrize("suite", SUITES)
def test_a_process_that_stands_still_is_started_again_and_adopts_the_table(
    suite: str, site: Site, package: Path, tmp_path: Path
) -> None:
    host = site.first
    folder, config = site.configure(host, options="bgp-graceful-restart = yes")
    with Debian(suite, tmp_path, host.namespace) as debian:
        set_up(debian, package, folder, config)
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
            until(lambda: shown(debian, "MainPID") not in (process, "0"))
            until(lambda: shown(debian, "ActiveState") == "active")
        assert site.load.failures == []
