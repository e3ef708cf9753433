"""kill -9 in the middle of a bulk load; bench/ipvs_kill.py does the same 200 times."""

from __future__ import annotations

from bench.ipvs_kill import rounds


def test_a_start_after_kill_9_ends_in_the_wanted_table_with_foreign_services_untouched() -> None:
    killed = rounds(6, seed=7, services=12, servers=60)
    assert sum(not each.finished for each in killed) >= 6
    assert any(each.services for each in killed if not each.finished)
