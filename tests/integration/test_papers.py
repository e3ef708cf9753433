"""What comes with PyBal, held against the tools that it is for: promtool, man, schemathesis and
Grafana's schema."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dry_run import CONFIG
from tests.namespace import Namespace
from tests.running import RunningPybal, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "etc/prometheus"
DASHBOARD = json.loads((ROOT / "etc/grafana/pybal.json").read_text("utf-8"))


def run(*command: str, cwd: Path = ROOT, **variables: str) -> str:
    """What it prints, both streams; it must succeed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_rules_do_what_their_tests_say() -> None:
    rules = sorted(str(path) for path in PROMETHEUS.glob("*.rules.yml"))
    assert len(rules) == 2
    run("promtool", "check", "rules", *rules)
    assert "SUCCESS" in run("promtool", "test", "rules", "pybal.test.yml", cwd=PROMETHEUS)


def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    queries += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    assert len(queries) > 20
    # As Grafana fills in its variables.
    filled = [
        query.replace("$__rate_interval", "5m")
        .replace("$instance", ".*")
        .replace("$service", "a|b")
        for query in queries
    ]
    assert not any("$" in query for query in filled)
    rules = [{"record": f"q:{n}", "expr": query} for n, query in enumerate(filled)]
    path = tmp_path / "queries.yml"
    # JSON is YAML.
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(queries)} rules found" in run("promtool", "check", "rules", str(path))


# Its models leave these out: a data source's own, and what only old versions of Grafana read.
_NOT_MODELLED = {"titleFormat", "step", "definition"}
_ROUND_TRIP = """
import json, sys
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

register_default_plugins()
read = Dashboard.from_json(json.load(open(sys.argv[1])))
print(json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(read))))
"""


def lost(one: object, other: object, where: str = "") -> Iterator[str]:
    """What of `one` is not in `other`."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key, value in one.items():
            if key not in other:
                yield f"{where}.{key}"
            else:
                yield from lost(value, other[key], f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list):
        for number, value in enumerate(one):
            yield from lost(value, other[number], f"{where}[{number}]")
    elif one != other:
        yield where


@pytest.fixture(scope="module")
def tools() -> Path:
    return Path(run("scripts/api-tools").splitlines()[-1])


def test_grafanas_models_know_everything_in_the_dashboard(tools: Path) -> None:
    path = str(ROOT / "etc/grafana/pybal.json")
    back = json.loads(run(str(tools / "bin/python"), "-c", _ROUND_TRIP, path))
    assert len(back["panels"]) == len(DASHBOARD["panels"])
    unknown = {each.rpartition(".")[2] for each in lost(DASHBOARD, back)}
    assert unknown <= _NOT_MODELLED


PAGES = ("pybal.8", "pybalctl.1", "pybal-from-keepalived.1", "pybal.conf.5")


@pytest.mark.parametrize("page", PAGES)
def test_manuals_are_read_without_a_warning(page: str, tmp_path: Path) -> None:
    path = ROOT / "debian" / page
    if page == "pybal.conf.5":
        path = tmp_path / page
        path.write_text(run(sys.executable, "debian/manual.py"), "utf-8")
    plain = {"LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    arguments = ("--warnings=all", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(path))
    done = subprocess.run(
        ["man", *arguments], capture_output=True, text=True, env={**os.environ, **plain}, check=True
    )
    assert done.stderr == ""
    assert len(done.stdout) > 1000


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Namespace, RunningPybal]]:
    folder = tmp_path_factory.mktemp("described")
    (folder / "pool").write_text("{ 'host': '127.0.0.1', 'weight': 10, 'enabled': True }\n")
    config = CONFIG.format(folder=folder).replace("[global]", "[global]\ninstrumentation = yes", 1)
    with Namespace({}) as namespace, RunningPybal(namespace.wrap, folder, config, "-n") as pybal:
        until(lambda: pybal.get("/pools") == "web_80\n")
        yield namespace, pybal


def test_the_api_is_as_openapi_says_whatever_is_asked(
    daemon: tuple[Namespace, RunningPybal], tools: Path, tmp_path: Path
) -> None:
    namespace, pybal = daemon
    url = "http://127.0.0.1:9090"
    # Names are the operator's: that none is like a made-up one is right.
    out = run(
        *namespace.wrap(str(tools / "bin/schemathesis"), "run", f"{url}/api/v1/openapi.json"),
        *("--url", url, "--exclude-checks", "positive_data_acceptance", "--max-examples", "15"),
        *("--phases", "examples,coverage,fuzzing", "--no-color", "--seed", "1"),
        cwd=tmp_path,
    )
    tested = re.search(r"Tested: (\d+)", out)
    assert tested is not None
    assert int(tested[1]) >= 13
    assert "Error while answering" not in pybal.log


def test_the_scrape_is_as_prometheus_wants_it(daemon: tuple[Namespace, RunningPybal]) -> None:
    _, pybal = daemon
    for query in ("", "?servers=1"):
        check_metrics(pybal.get(f"/metrics{query}"))


# It finds names wanting that the contract has.
_CONTRACT = re.compile(r"pybal_bgp_session_state_count|pybal_reactor_stall_seconds_max")


def check_metrics(scrape: str) -> None:
    """Promtool reads it and finds nothing wrong but names of old."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape, capture_output=True, text=True, check=False
    )
    complaints = (done.stdout + done.stderr).splitlines()
    assert [each for each in complaints if _CONTRACT.match(each) is None] == []
