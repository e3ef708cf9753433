"""A reload while a service still waits for its first pool list."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.daemon import DaemonBench
from tests.reload.test_renamed import config, meds


@pytest.mark.parametrize("careful", ["", "bgp-withdraw-on-down = yes\n"])
def test_no_reload_announces_a_service_whose_list_has_not_come(
    tmp_path: Path, careful: str
) -> None:
    text = config(tmp_path, "web") + careful
    bench = DaemonBench(tmp_path, text)
    for more in ("depool-threshold = .25\n", "depool-threshold = .75\n"):
        assert bench.reload(text + more)
        assert bench.state()["table"] == {}
        assert meds(bench) == {}
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n")
    bench.run()
    assert [len(entry.destinations) for entry in bench.state()["table"].values()] == [1]
    assert meds(bench) == {"192.0.2.1/32": 0}
    bench.stop()
