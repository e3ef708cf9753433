"""docs/metrics.md, the rules for Prometheus and the dashboard know the metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pybal.instrumentation.alerts import KINDS
from tests.instrumentation.metrics_doc import PATH, document, everything

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "etc/prometheus/pybal.rules.yml").read_text("utf-8")
NODE_RULES = (ROOT / "etc/prometheus/node_ipvs.rules.yml").read_text("utf-8")
RULE_TESTS = (ROOT / "etc/prometheus/pybal.test.yml").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "etc/grafana/pybal.json").read_text("utf-8"))
OPERATING = (ROOT / "docs/operating.md").read_text("utf-8")


def anchors(markdown: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", markdown, re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def recorded() -> set[str]:
    return set(re.findall(r"^ *- record: (\S+)$", RULES + NODE_RULES, re.M))


def named(promql: str) -> set[str]:
    """The metrics that a query reads."""
    return set(
        re.findall(r"\b(?:service:|instance:|host:|pybal:)?pybal[\w:]*|\bprocess_\w+", promql)
    )


def test_every_metric_has_its_line() -> None:
    assert PATH.read_text("utf-8") == document(), (
        "docs/metrics.md is not what a scrape says: python3 -m tests.instrumentation.metrics_doc"
    )
    assert len(everything()) > 80
    assert all(one.help for one in everything().values())


def queries() -> list[str]:
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert len(panels) > 15
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_rules_and_dashboard_read_metrics_that_there_are() -> None:
    known = everything().keys() | recorded()
    known |= {f"pybal_reactor_stall_seconds_{end}" for end in ("bucket", "sum", "count")}
    variables = [v["definition"] for v in DASHBOARD["templating"]["list"] if "definition" in v]
    exprs = re.findall(r"expr: (?:>-\n)?((?: {10}.*\n|.*\n)+?)(?=\s+(?:for|labels|- ))", RULES)
    assert len(exprs) > 15
    for text in (*queries(), *variables, *exprs, NODE_RULES.split("groups:", 1)[1]):
        found = {name.rstrip(":") for name in named(text)}
        assert found <= known | {"pybal", "pybal.node_ipvs"}, text


def test_every_alert_has_a_section_that_says_what_to_do() -> None:
    there = anchors(OPERATING)
    runbooks = set(re.findall(r"docs/operating\.md#([a-z0-9-]+)\"", RULES))
    assert len(runbooks) > 5
    assert runbooks | {kind.id for kind in KINDS} <= there


def test_every_rule_is_tried() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", RULES))
    fired = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", RULE_TESTS))
    assert len(alerts) >= 13
    assert alerts == fired


def test_the_dashboard_is_what_its_maker_makes() -> None:
    subprocess.run([sys.executable, "scripts/dashboard", "--check"], cwd=ROOT, check=True)


@pytest.mark.parametrize("key", ["uid", "title", "schemaVersion", "panels", "templating", "time"])
def test_the_dashboard_can_be_imported(key: str) -> None:
    assert DASHBOARD[key]
    ids: list[Any] = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file) if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text("utf-8")), target
