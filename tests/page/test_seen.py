from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pybal.model import ServerSnapshot, ServiceSnapshot
from pybal.page.seen import seen_service
from tests.fakes.view import monitor, server, service

SERVERS = st.lists(
    st.builds(
        server,
        st.sampled_from(["cp1", "cp2", "cp3"]),
        enabled=st.booleans(),
        up=st.booleans(),
        pooled=st.booleans(),
        weight=st.sampled_from([0, 10]),
        monitors=st.sampled_from([(), (monitor(up=False, reason="x"),), (monitor(),)]),
    ),
    max_size=4,
    unique_by=lambda each: each.host,
)


def checked_again(one: ServiceSnapshot) -> ServiceSnapshot:
    """Nothing but what the last check found is another."""
    newer: tuple[ServerSnapshot, ...] = tuple(
        each._replace(monitors=(monitor(reason="again"),)) for each in one.servers
    )
    return one._replace(servers=newer)


@given(SERVERS, SERVERS, st.sampled_from(["1/2", "1"]))
def test_what_is_taken_over_from_before_is_what_would_be_counted_anew(
    before: list[ServerSnapshot], now: list[ServerSnapshot], threshold: str
) -> None:
    first = seen_service(service("a", before), ())
    for later in (service("a", now, threshold=threshold), checked_again(first.service)):
        assert seen_service(later, (), first) == seen_service(later, ())


def test_servers_that_are_out_are_shown_as_they_are_now() -> None:
    first = seen_service(service("a", [server("cp1"), server("cp2", up=False)]), ())
    later = seen_service(checked_again(first.service), (), first)
    assert later.counts is first.counts
    ((out, _),) = later.out
    assert out is later.service.servers[1]
    assert seen_service(later.service, (), later) is later
