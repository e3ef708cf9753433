"""Monitors of other packages: a distribution on sys.path, as pip would leave it there."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from pybal.instrumentation.monitor_text import MonitorText
from pybal.main import EXIT_CONFIG, EXIT_OK, main
from pybal.monitors.installed import GROUP, PluginError, installed_monitors
from pybal.monitors.registry import BUILT_IN, create_monitor, kinds_of, metric_families
from tests.config.texts import FILE, service
from tests.fakes.environment import MonitorBench

ROOT = Path(__file__).parents[2]
(SKELETON,) = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/monitor-plugin.md").read_text("utf-8"), re.DOTALL
)
NTP_SERVICE = service(monitors="['NTP']", ntp__max_stratum="2", ntp__rise="2")


class Packages:
    """A folder on sys.path, into which distributions are installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, module: str, code: str, entry_point: str) -> None:
        (self._folder / f"{module}.py").write_text(code)
        info = self._folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry_point}\n")
        importlib.invalidate_caches()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Packages(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("pybal_"):
            del sys.modules[name]


def config_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / FILE
    path.write_text(text)
    return str(path)


def test_without_other_packages_there_are_ours() -> None:
    assert installed_monitors(entry_points(group=GROUP)) == BUILT_IN


def test_the_documented_skeleton_works(packages: Packages) -> None:
    packages.install("pybal_ntp", SKELETON, "NTP = pybal_ntp:MONITOR")
    types = installed_monitors(entry_points(group=GROUP))
    assert set(types) == {*BUILT_IN, "NTP"}
    settings = types["NTP"].kind.settings(timeout_s=3)
    bench = MonitorBench(port=123)
    create_monitor(settings, bench.target, bench.environment, bench.reports, types).start()
    for stratum in (2, 5, 0):
        channel = bench.channel()
        request = channel.sent[0]
        assert (channel.port, len(request)) == (123, 48)
        answer = bytes([0x24, stratum]) + bytes(22) + request[40:] + bytes(16)
        channel.receive(answer[:24] + b"somebody" + answer[32:])
        channel.receive(answer)
    assert bench.ups == [True, False]
    assert bench.reports[1].reason == "time of 192.0.2.7:123: stratum 5 after 0.000 s"


@pytest.mark.parametrize("factory", ["lambda *given: None", "lambda *given: object.__new__(NTP)"])
def test_what_is_no_monitor_is_not_taken_for_one(packages: Packages, factory: str) -> None:
    code = SKELETON.replace("    NTP,\n    (request", f"    {factory},\n    (request")
    packages.install("pybal_ntp", code, "NTP = pybal_ntp:MONITOR")
    types = installed_monitors(entry_points(group=GROUP))
    bench = MonitorBench()
    settings = types["NTP"].kind.settings()
    with pytest.raises(TypeError, match="no monitor, or one without"):
        create_monitor(settings, bench.target, bench.environment, bench.reports, types)


def test_its_metrics_are_shown_as_it_declares_them(packages: Packages) -> None:
    packages.install("pybal_ntp", SKELETON, "NTP = pybal_ntp:MONITOR")
    types = installed_monitors(entry_points(group=GROUP))
    text = b"".join(MonitorText(metric_families(types)).render((), as_openmetrics=False)).decode()
    name = "pybal_monitor_ntp_request_duration_seconds"
    assert f"# HELP {name} Duration of the last query of the time\n# TYPE {name} gauge\n" in text


def test_its_options_are_read_from_pybal_conf_and_shown(
    packages: Packages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages.install("pybal_ntp", SKELETON, "NTP = pybal_ntp:MONITOR")
    path = config_file(tmp_path, "[global]\n" + NTP_SERVICE)
    assert main(["--check-config", "-c", path]) == EXIT_OK
    assert "    NTP                max-stratum 2, rise 2, interval 10, timeout 5" in (
        capsys.readouterr().out
    )
    bad = config_file(tmp_path, "[global]\n" + NTP_SERVICE.replace("stratum = 2", "stratum = 16"))
    assert main(["--check-config", "-c", bad]) == EXIT_CONFIG
    assert "[svc] ntp.max-stratum = '16': must be a whole number from 1 to 15" in (
        capsys.readouterr().out
    )


def test_a_monitor_that_is_not_installed_is_fatal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_file(tmp_path, "[global]\n" + service(monitors="['NTP']"))
    assert main(["--check-config", "-c", path]) == EXIT_CONFIG
    assert "'NTP' is no monitor" in capsys.readouterr().out


KIND = "MonitorType(MonitorKind(NTPSettings, (Option('x', 'y', integer(1, 2)),)), NTP)"
DURATION = 'request_duration("NTP", "Duration of the last query of the time")'


def with_metrics(*metrics: str) -> str:
    """The skeleton with other metrics."""
    code: str = SKELETON.replace("    Monitor", "    MetricFamily,\n    Monitor", 1)
    return code.replace(DURATION, ", ".join(metrics))


@pytest.mark.parametrize(
    ("code", "entry_point", "why"),
    [
        ("import nonexistent_module", "NTP = pybal_ntp:MONITOR", "ModuleNotFoundError: No module"),
        ("raise RuntimeError('no licence')", "NTP = pybal_ntp:MONITOR", "RuntimeError: no licence"),
        ("def", "NTP = pybal_ntp:MONITOR", "SyntaxError"),
        ("raise SystemExit('no licence')", "NTP = pybal_ntp:MONITOR", "SystemExit: no licence"),
        (SKELETON, "NTP = pybal_ntp:MONITORS", "AttributeError"),
        (f"{SKELETON}\nMONITOR = MonitorType(5, NTP)", "NTP = pybal_ntp:MONITOR", "does not fit"),
        (
            f"{SKELETON}\nMONITOR = MonitorType(MonitorKind(int), NTP)",
            "NTP = pybal_ntp:MONITOR",
            "does not fit: AttributeError: type object 'int' has no attribute 'monitor'",
        ),
        (
            f"{SKELETON}\nMONITOR = MonitorType(MonitorKind(NTPSettings), None)",
            "NTP = pybal_ntp:MONITOR",
            "does not fit: its factory and its notes must be functions",
        ),
        (
            SKELETON.replace("async def _ask(", "async def _aks("),
            "NTP = pybal_ntp:MONITOR",
            "does not fit: _ask of its class is missing",
        ),
        (
            SKELETON.replace("integer(1, 15)", "15"),
            "NTP = pybal_ntp:MONITOR",
            "does not fit: an option has a name and a kind, but there is Option(name='max-stratum'",
        ),
        (
            SKELETON.replace('Option("max-stratum"', 'Option("port"'),
            "NTP = pybal_ntp:MONITOR",
            "does not fit: an option is declared twice, or has the name of one that each",
        ),
        (SKELETON, "NTP = pybal_ntp:NTP", "is no MonitorType but of type ABCMeta"),
        (SKELETON, "Time = pybal_ntp:MONITOR", "calls itself NTP"),
        (SKELETON, "udp = pybal_ntp:MONITOR", "there is another monitor of that name"),
        (f"{SKELETON}\nMONITOR = {KIND}", "NTP = pybal_ntp:MONITOR", "x has no field y"),
        (
            SKELETON.replace("max_stratum: int = 4", "max_stratum: int"),
            "NTP = pybal_ntp:MONITOR",
            "the field max_stratum has neither a default nor a required option",
        ),
        (
            with_metrics("MetricFamily('pybal_monitor_status', '')"),
            "NTP = pybal_ntp:MONITOR",
            "the name of the metric pybal_monitor_status must begin with pybal_monitor_ntp_",
        ),
        (
            with_metrics("MetricFamily('pybal_monitor_ntp_x', '', ('a', 'host'))"),
            "NTP = pybal_ntp:MONITOR",
            "the metric pybal_monitor_ntp_x cannot have the labels a, host",
        ),
        (
            with_metrics("MetricFamily('pybal_monitor_ntp_x', 'two\\nlines')"),
            "NTP = pybal_ntp:MONITOR",
            "the help of the metric pybal_monitor_ntp_x must be one line",
        ),
        (with_metrics("1"), "NTP = pybal_ntp:MONITOR", "does not fit: AttributeError: 'int'"),
        (with_metrics(DURATION, DURATION), "NTP = pybal_ntp:MONITOR", "declared twice"),
        (
            SKELETON.replace('"NTP"', '"N-TP"'),
            "N-TP = pybal_ntp:MONITOR",
            "letters, digits and underscores only",
        ),
    ],
)
def test_one_that_cannot_be_used_is_fatal_at_start_with_its_reason(
    packages: Packages,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    code: str,
    entry_point: str,
    why: str,
) -> None:
    packages.install("pybal_ntp", code, entry_point)
    with pytest.raises(PluginError) as caught:
        installed_monitors(entry_points(group=GROUP))
    text = str(caught.value)
    assert why in text and " of pybal_ntp (pybal_ntp:" in text
    path = config_file(tmp_path, "[global]\n" + service())
    assert main(["--check-config", "-c", path]) == EXIT_CONFIG
    assert capsys.readouterr().out == f"ERROR: {text}\n"


@pytest.mark.parametrize(
    "option", ["Kind('x', lambda text: sys.exit('not today'))", "Kind('x', int)"]
)
def test_options_that_it_cannot_read_are_an_error_of_the_file(
    packages: Packages, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    code = SKELETON.replace("integer(1, 15)", option).replace("    integer,", "    Kind,")
    packages.install(
        "pybal_ntp",
        f"import sys\n{code.replace('from __future__ import annotations', '')}",
        "NTP = pybal_ntp:MONITOR",
    )
    text = NTP_SERVICE.replace("stratum = 2", "stratum = two")
    path = config_file(tmp_path, "[global]\n" + text)
    assert main(["--check-config", "-c", path]) == EXIT_CONFIG
    error = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ERROR"))
    assert "pybal.conf:" in error and "[svc] monitors" in error
    assert "NTP cannot read its options: " in error


def test_notes_that_it_cannot_give_are_a_note(
    packages: Packages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = SKELETON.rstrip().removesuffix(")") + "    notes=lambda settings: 1 / 0,\n)\n"
    packages.install("pybal_ntp", code, "NTP = pybal_ntp:MONITOR")
    path = config_file(tmp_path, "[global]\n" + NTP_SERVICE)
    main(["--check-config", "-c", path])
    assert "NTP cannot say what it needs: ZeroDivisionError" in capsys.readouterr().out


def test_the_kinds_of_all_monitors_have_keys_of_their_own() -> None:
    kinds = kinds_of(BUILT_IN)
    assert len(kinds.option_keys) == sum(len(kind.options) for kind in kinds.by_name.values())
