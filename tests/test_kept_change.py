"""What lists took away, on another clock: every moment moves with it."""

from __future__ import annotations

from pybal.kept_change import ListPast

PAST = ListPast(
    at_s=100.0,
    taken=(("cp1", 90.0),),
    counts=((80.0, 3, 4, 2),),
    reference=4,
    kept=(("cp2", 70.0),),
    unproven=("cp3",),
    moving=(("cp4", "192.0.2.4"),),
)


def test_on_a_clock_that_shows_more_all_moments_are_so_much_later() -> None:
    assert PAST.moved(5.0) == ListPast(
        at_s=105.0,
        taken=(("cp1", 95.0),),
        counts=((85.0, 3, 4, 2),),
        reference=4,
        kept=(("cp2", 75.0),),
        unproven=("cp3",),
        moving=(("cp4", "192.0.2.4"),),
    )


def test_it_says_the_same_at_another_time_but_not_with_another_moment_in_it() -> None:
    assert PAST.is_as(ListPast(200.0, PAST.taken, PAST.counts, 4, PAST.kept, ("cp3",), PAST.moving))
    assert not PAST.is_as(PAST.moved(5.0))
    assert not PAST.is_as(None)
