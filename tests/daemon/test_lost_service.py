"""A service that somebody removes from the kernel, and that the kernel does not take back."""

from __future__ import annotations

import errno
from pathlib import Path

from pybal.ipvs.operations import RemoveService
from tests.fakes.daemon import DaemonBench
from tests.fakes.kernel import FakeKernel
from tests.reload.test_renamed import config, meds


def test_it_is_withdrawn_until_it_is_back(tmp_path: Path) -> None:
    (tmp_path / "pool").write_text("{'host': '192.0.2.11'}\n{'host': '192.0.2.12'}\n")
    kernel = FakeKernel()
    bench = DaemonBench(tmp_path, config(tmp_path, "web", "dns"), kernel=kernel)
    before = meds(bench)
    assert before.keys() == {"192.0.2.1/32", "192.0.2.2/32"}
    kernel.refuse = lambda _: errno.ENOENT  # As if the scheduler's module had gone.
    (service, _) = kernel.services().services
    kernel.by_hand(RemoveService(service.key))
    bench.run(5)
    assert before.keys() - meds(bench).keys() == {f"{service.key.address}/32"}
    kernel.refuse = lambda _: 0
    bench.run(60)
    assert meds(bench) == before
    bench.stop()
