"""The largest sample configuration, whole: a real daemon in dry run but for BGP, in its own
namespace, with its pools served over HTTP by nginx, its real servers answering, its consumers
reading."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.instrumentation.metrics_doc import described, everything
from tests.integration.test_papers import check_metrics
from tests.namespace import Namespace
from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SITE = ROOT / "tests/data/wikimedia"
CONFIG = SITE / "esams/secondary/pybal.http.conf"

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    server {{
        listen 80; listen [::]:80;
        server_name config-master.esams.wmnet;
        root {site};
        default_type text/plain;
    }}
    server {{
        listen 80 default_server; listen [::]:80 default_server;
        listen 443 ssl default_server; listen [::]:443 ssl default_server;
        return 200 "fine\\n";
    }}
}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPybal]:
    folder = tmp_path_factory.mktemp("site")
    hosts = json.loads((SITE / "esams/hosts.json").read_text())
    names: dict[str, tuple[str, ...]] = {host: (a["ipv4"], a["ipv6"]) for host, a in hosts.items()}
    names["config-master.esams.wmnet"] = ("127.0.0.1",)
    write_nginx(folder)
    with Namespace(names) as namespace:
        # The whole ranges of the sample's addresses are this namespace's own.
        for local in ("10.203.0.0/16", "192.0.2.0/24"):
            namespace.ip("route", "add", "local", local, "dev", "lo")
        namespace.ip("-6", "route", "add", "local", "fd00:203::/64", "dev", "lo")
        namespace.start("nginx", "-e", "stderr", "-c", f"{folder}/nginx.conf")
        state = f"[global]\nstate-directory = {folder}/state\ndry-run-bgp = yes"
        config = CONFIG.read_text().replace("[global]", state, 1)
        with RunningPybal(namespace.wrap, folder, config, "-n") as pybal:
            until(lambda: all_spoken(pybal))
            yield pybal


def write_nginx(folder: Path) -> None:
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        "-subj /CN=site -keyout key.pem -out cert.pem".split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    # nginx's workers run as another user, who must be able to read the pool lists.
    pools = folder / "pools"
    for source in sorted((SITE / "pybal").rglob("*")):
        target = pools / source.relative_to(SITE)
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    (folder / "nginx.conf").write_text("user root;\n" + NGINX.format(folder=folder, site=pools))


def all_spoken(pybal: RunningPybal) -> bool:
    services = sections()
    for name in services:
        servers = pybal.json(f"/api/v1/services/{name}")["servers"]
        if not servers:
            return False
        if any(m["up"] is None for server in servers for m in server["monitors"]):
            return False
    return True


def sections() -> dict[str, configparser.SectionProxy]:
    """As the IPVS difference check reads the file."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(CONFIG)
    return {name: parser[name] for name in parser.sections() if name != "global"}


def test_every_pool_is_listed_one_a_line(site: RunningPybal) -> None:
    assert site.get("/pools").splitlines() == list(sections())
    assert len(sections()) == 16


def test_every_pool_has_the_servers_of_its_list_and_the_enabled_ones_are_pooled(
    site: RunningPybal,
) -> None:
    pairs = pooled = 0
    for name in sections():
        for line in site.get(f"/pools/{name}").splitlines():
            host, status = line.split(":\t")
            pairs += 1
            pooled += status.endswith("/pooled")
            assert host
            assert status in ("enabled/up/pooled", "disabled/up/not pooled")
    # The sample's own summary.json counts them.
    assert (pairs, pooled) == (104, 96)


def test_safe_restart_reads_exactly_four_keys(site: RunningPybal) -> None:
    server = site.json("/pools/textlb_443/cp3066.esams.wmnet")
    assert server == {"enabled": True, "up": True, "pooled": True, "weight": 100}
    with pytest.raises(OSError, match="404"):
        site.get("/pools/textlb_443/nobody.esams.wmnet")


def test_the_backends_check_is_satisfied(site: RunningPybal) -> None:
    # ncredir has two servers at threshold .5: one may go.
    assert site.get("/alerts") == "OK - All pools are healthy"
    assert site.json("/alerts") == {"status": "ok", "msg": "All pools are healthy"}


def test_the_ipv6_loopback_answers_too(site: RunningPybal) -> None:
    assert site.get("/alerts", address="[::1]").startswith("OK")


def test_prometheus_and_the_restart_procedure_read_the_metrics(site: RunningPybal) -> None:
    metrics = site.get("/metrics")
    # 8 (ncredir) + 48 (port 80) servers with one monitor, 48 (port 443) with two.
    assert re.findall(r"^pybal_monitor_status\{.*\} (.+)$", metrics, re.M) == ["1.0"] * 152
    assert re.search(r'^pybal_service_servers\{service="textlb_443"\} 8\.0$', metrics, re.M)
    # The router does not answer: the BGP alert must fire, and does by these two lines.
    assert re.search(r"^pybal_bgp_enabled 1\.0$", metrics, re.M)
    session = r'^pybal_bgp_session_established\{local_asn="(\d+)",peer="(.+?)"\} (.+)$'
    found = re.search(session, metrics, re.M)
    assert found is not None
    assert found.groups() == ("64600", "10.80.0.1", "0.0")


def test_the_scrape_is_as_prometheus_wants_it_and_as_metrics_md_says(site: RunningPybal) -> None:
    documented = everything()
    for query in ("", "?servers=1"):
        scrape = site.get(f"/metrics{query}")
        check_metrics(scrape)
        # What Python itself counts of its garbage is nobody's promise.
        found = {n: one for n, one in described(scrape).items() if not n.startswith("python_")}
        assert len(found) > 60
        assert found.keys() <= documented.keys()
        for name, one in found.items():
            said = documented[name]
            assert (one.kind, one.help) == (said.kind, said.help), name
            assert one.labels <= said.labels, name
            assert one.labels in (set(), said.labels) or name == "pybal_build_info", name


def check(site: RunningPybal, name: str, *arguments: str) -> tuple[int, str]:
    """A check program, in the daemon's namespace."""
    plugin = str(ROOT / "etc/nagios/plugins" / name)
    done = subprocess.run(
        site.wrap(sys.executable, plugin, *arguments),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stdout + done.stderr


def test_the_check_programs_see_what_there_is(site: RunningPybal, tmp_path: Path) -> None:
    assert check(site, "check_pybal") == (0, "OK: All pools are healthy\n")
    assert check(site, "check_pybal", "--url", "http://localhost:9090/alerts")[0] == 0
    status, out = check(site, "check_pybal_bgp")
    assert (status, out[:42]) == (2, "CRITICAL: 0 of 1 BGP session established: ")
    # A table such as the kernel would have it, but for one server that somebody has deleted.
    table = tmp_path / "ip_vs"
    table.write_text(as_kernel(site))
    assert check(site, "check_pybal_ipvs_diff", "--proc", str(table)) == (
        0,
        "OK: no difference between PyBal and IPVS | services=16 servers=96\n",
    )
    lines = table.read_text().splitlines()
    gone = next(line for line in lines if line.startswith("  -> "))
    lines.remove(gone)
    table.write_text("\n".join(lines))
    status, out = check(site, "check_pybal_ipvs_diff", "--proc", str(table))
    assert status == 2
    assert out.startswith("CRITICAL: Servers known to PyBal but not to IPVS: ")


def as_kernel(site: RunningPybal) -> str:
    """`/proc/net/ip_vs`, made of what the dry run says that it would do."""
    lines = ["IP Virtual Server version 1.2.1 (size=4096)"]
    servers: dict[str, list[str]] = {}
    pattern = r"ipvsadm -[Aa] -([tu]) (\S+?)(?: -r (\S+))? -\w.*?(?:-w (\d+))?$"
    for kind, service, server, weight in re.findall(pattern, site.log, re.M):
        key = f"{'TCP' if kind == 't' else 'UDP'}  {in_hex(service)} mh"
        servers.setdefault(key, [])
        if server:
            servers[key].append(f"  -> {in_hex(server)} Route {weight} 0 0")
    for key, its in servers.items():
        lines += [key, *its]
    return "\n".join(lines)


def in_hex(endpoint: str) -> str:
    host, _, port = endpoint.rpartition(":")
    address = ip_address(host.strip("[]"))
    if address.version == 4:
        return f"{int(address):08X}:{int(port):04X}"
    return f"[{address.exploded}]:{int(port):04X}"


def test_dry_run_shows_each_change_as_an_ipvsadm_command(site: RunningPybal) -> None:
    until(lambda: site.log.count("ipvsadm -a ") >= 96)
    assert site.log.count("ipvsadm -A ") == 16
    assert site.log.count("ipvsadm -a ") == 96
    assert "ipvsadm -A -t 185.15.59.224:443 -s mh" in site.log
    assert re.search(
        r"-a -t \[2a02:ec80:300:ed1a::1\]:443 -r \[fd00:203::1\]:443 -i -w 100", site.log
    )


def test_every_log_line_has_the_contracts_shape(site: RunningPybal) -> None:
    lines = site.log.splitlines()
    assert len(lines) > 100
    for line in lines:
        assert re.fullmatch(r"\[[^\]]+\] (DEBUG|INFO|WARN|ERROR|CRITICAL): .+", line), line
    assert "[pybal] INFO: Created LVS service 'textlb_443'" in lines


def test_it_stops_in_order(site: RunningPybal) -> None:
    # The last test of the module: the daemon is gone after it.
    assert site.stop() == 0
    assert "[pybal] INFO: Exiting..." in site.log
    assert "Traceback" not in site.log
