"""Whether a service of which the kernel refuses something still stands."""

from __future__ import annotations

from pybal.ipvs.managed_service import LOST_AFTER_S, Managed
from tests.ipvs.examples import WEB, destination, entry, pool

DRAINS = entry(WEB, destination(1, weight=0))


def test_servers_that_drain_are_nobody_for_new_connections() -> None:
    managed = Managed(wanted=entry(WEB, destination(1, weight=0), destination(2)), stands=True)
    assert not managed.may_stand(DRAINS)
    assert managed.may_stand(pool(WEB, 1))
    assert not managed.lose(DRAINS, 10.0)
    assert managed.lose(DRAINS, 10.0 + LOST_AFTER_S)


def test_where_nobody_is_wanted_for_new_connections_a_service_stands_as_it_is() -> None:
    for wanted in (entry(WEB), DRAINS):
        managed = Managed(wanted=wanted, stands=True)
        assert all(managed.may_stand(known) for known in (entry(WEB), DRAINS, pool(WEB, 1)))
        assert not managed.may_stand(None)
