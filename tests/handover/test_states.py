"""What processes leave behind tells by its name how old it is."""

from __future__ import annotations

from pybal.handover.states import by_age, name_by_age


def test_of_what_was_left_the_oldest_comes_first_whatever_the_manager_hands_out_first() -> None:
    moments = (0.016, 3.0, 9.5, 5000.0, 99999.0)
    names = [name_by_age("bfd.", moment) for moment in moments]
    assert len(set(names)) == len(moments)
    assert [name for name, _ in by_age({name: [] for name in reversed(names)})] == names
