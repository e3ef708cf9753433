"""The unit of the Debian package under a real systemd: what its signals do to the routes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.kernel.bgpsite import Site
from tests.kernel.systemd import Systemd
from tests.running import BYTECODE, until
from tests.stage import VIP4

ROOT = Path(__file__).parents[2]
HERE = """
[Service]
ExecStart=
ExecStart={python} -m pybal -c {config}
WorkingDirectory={root}
NetworkNamespacePath=/run/netns/{namespace}
StandardError=append:{log}
MonitorPorts=PYTHONPYCACHEPREFIX={bytecode}
"""


def test_a_restart_keeps_the_routes_and_a_stop_withdraws_them(site: Site, tmp_path: Path) -> None:
    host, log = site.first, tmp_path / "pybal.log"
    folder, text = site.configure(host, options="bgp-graceful-restart = yes")
    config = folder / "pybal.conf"
    config.write_text(text)
    units = tmp_path / "units"
    (units / "pybal.service.d").mkdir(parents=True)
    shutil.copy(ROOT / "debian" / "pybal.service", units)
    (units / "pybal.service.d" / "here.conf").write_text(
        HERE.format(
            python=sys.executable, config=config, root=ROOT, namespace=host.namespace, log=log,
            bytecode=BYTECODE.name,
        )
    )  # fmt: skip
    with Systemd(units, tmp_path / "systemd.log") as systemd:
        systemd.systemctl("start", "pybal")
        site.wait_routed(host)

        with site.load.running():
            until(lambda: site.connections(host) > 20)
            systemd.systemctl("restart", "pybal")
            assert "Exiting, for a restart..." in log.read_text()
            during = site.connections(host)
            until(lambda: site.seen(host, "BGP session established") == 2)
            until(lambda: "stale" not in site.router.ask("show route all"))
            until(lambda: site.connections(host) > during + 20)
        assert site.load.failures == []
        assert site.withdrawals(host) == 0
        assert site.router.next_hop(VIP4) == str(host.ipv4)

        systemd.systemctl("stop", "pybal")
        site.wait_routed(None)
        assert "PyBal is stopping" in site.router.log
        assert site.withdrawals(host) == 2
        assert "ActiveState=inactive" in systemd.systemctl("show", "pybal")
