"""What is announced is an address of this host. The daemon looks every 30 s: this waits for it."""

from __future__ import annotations

from tests.kernel.bgpsite import Site
from tests.running import until
from tests.stage import VIP4


def test_an_announced_address_that_no_interface_has_is_told(site: Site) -> None:
    host = site.first
    pybal = site.director(host)
    site.wait_routed(host)
    until(lambda: pybal.get("/alerts").startswith("OK"))
    host.run("ip", "address", "del", f"{VIP4}/32", "dev", "lo")
    until(lambda: f"{VIP4} is announced, but on no interface" in pybal.get("/alerts"))
    host.run("ip", "address", "add", f"{VIP4}/32", "dev", "lo")
    until(lambda: pybal.get("/alerts").startswith("OK"))
