"""What is said of each kind of source, and in which log system."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import pytest
from twisted.logger import Logger

from pybal.config.settings import (
    EtcdSource,
    FileSource,
    HTTPSource,
    KubernetesSource,
    SourceSettings,
)
from pybal.sources.create import origin_of, rename_lists

LOG = Logger(namespace="svc")


def test_what_befalls_etcd_is_told_in_a_log_system_of_its_own_that_names_the_service() -> None:
    origin = origin_of(EtcdSource("h", 2379, "/pools/a/"), "svc", LOG)
    assert origin.log.namespace == "config-etcd"
    assert origin.what == "Pool list of svc from etcd://h:2379/pools/a/"


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (FileSource(Path("/pool")), "Pool list from file:///pool"),
        (HTTPSource("https://h/p.json"), "Pool list from https://h/p.json"),
        (
            HTTPSource("https://h/p?site=a&token=hunter2&hunter3"),
            "Pool list from https://h/p?site=***&token=***&***",
        ),
        (KubernetesSource("h", 443, "hunter2"), "Pool list from k8s://***@h:443"),
    ],
)
def test_what_befalls_others_is_told_in_the_services_and_shows_no_secret(
    settings: SourceSettings, what: str
) -> None:
    origin = origin_of(settings, "svc", LOG)
    assert (origin.log, origin.what) == (LOG, what)


@pytest.mark.parametrize(
    ("written", "former", "kept", "found"),
    [
        ({"text": 1}, ["text"], [], "text"),
        ({"text": 1, "web": 2}, ["text"], ["web"], "web"),
        ({"text": 2, "web": 1}, ["text"], ["web"], "text"),
        ({"web": 1}, ["text"], ["web"], "web"),
        ({"text": 1, "web": 2}, ["text"], [], "text"),
        ({"text": 2, "www": 1}, ["www", "text"], [], "text"),
        ({"text": 1, "www": 2}, ["www", "text"], [], "www"),
        ({"text": 1, "www": 1}, ["www", "text"], [], "www"),
        ({"text": 1}, ["www", "text"], [], "text"),
        ({}, ["text"], [], None),
    ],
)
def test_of_the_lists_that_a_service_may_have_left_the_newest_is_its_own(
    tmp_path: Path,
    written: dict[str, int],
    former: list[str],
    kept: Collection[str],
    found: str | None,
) -> None:
    folder = tmp_path / "pool-lists"
    folder.mkdir()
    for name, at_s in written.items():
        (folder / f"{name}.json").write_text(name)
        os.utime(folder / f"{name}.json", (at_s, at_s))
    rename_lists(tmp_path, [(name, "web") for name in former], kept)
    own = folder / "web.json"
    assert (own.read_text() if own.exists() else None) == found
