"""What is said of each kind of source, and in which log system."""

from __future__ import annotations

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
from pybal.sources.create import origin_of

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
