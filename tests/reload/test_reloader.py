"""Reading pybal.conf again: refused whole or gone over to, one at a time, and always said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from pybal.config.settings import Settings
from pybal.config.snapshot import ReloadOutcome, ReloadSnapshot
from pybal.reload.last_good_config import LastGoodConfig, last_good_file
from pybal.reload.reloader import LOOK_EVERY_S, Reloader, ReloadPorts
from pybal.reload.running import cut_off, started
from pybal.reload.steps import ReloadStep, lines
from pybal.state.state_file import WriteBehind
from pybal.state.state_writing import StateWriting
from tests.config.texts import KINDS, load, service
from tests.fakes.deferreds import at_once, result_of
from tests.fakes.log import FakeLog

ONE = "[global]\n" + service("one")


class FakeDaemon:
    """Goes over when `gate` lets it."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.steps: list[list[str]] = []
        self.gate: Deferred[None] = succeed(None)
        self.error: Exception | None = None

    async def go_over_to(self, settings: Settings, steps: tuple[ReloadStep, ...]) -> None:
        await self.gate
        if self.error is not None:
            raise self.error
        self.settings.append(settings)
        self.steps.append(lines(steps))


class FakeManager:
    def __init__(self) -> None:
        self.told: list[str] = []

    def reloading(self, monotonic_s: float) -> None:
        self.told.append(f"reloading at {monotonic_s:g}")

    def ready(self) -> None:
        self.told.append("ready")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "pybal.conf"
        self.path.write_text(ONE)
        self.clock, self.log = Clock(), FakeLog()
        self.dry_run = False
        self.no_code: str | None = None
        self.no_options: Exception | None = None
        self.failed: list[str] = []
        self.ended: list[ReloadSnapshot] = []
        self.daemon, self.manager = FakeDaemon(), FakeManager()
        result = load(self.path)
        assert result.settings is not None
        ports = ReloadPorts(
            clock=self.clock,
            now=lambda: 1000.0,
            monotonic_s=lambda: 5.0,
            in_thread=at_once,
            manager=self.manager,
            with_options=self.with_options,
            load_code=lambda _: self.no_code,
            ended=self.ended.append,
        )
        self.reloader = Reloader(
            started(result, result.settings, 900.0),
            KINDS,
            self.daemon,
            ports,
            self.log.logger("pybal"),
        )
        self.good = last_good_file(folder / "state")
        writing = StateWriting(self.clock, at_once)
        self.reloader.start(WriteBehind(self.good, self.reloader.good, writing, self.failed.append))

    def with_options(self, settings: Settings) -> Settings:
        if self.no_options is not None:
            raise self.no_options
        return replace(settings, dry_run=True) if self.dry_run else settings

    def kept(self) -> LastGoodConfig:
        good = self.good.load()
        assert good is not None
        return good


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_changed_file_is_gone_over_to_and_kept(bench: Bench) -> None:
    assert bench.kept().content == ONE
    bench.path.write_text(ONE + service("two", ip="192.0.2.2"))
    outcome = result_of(bench.reloader.reload())
    assert (outcome.successful, outcome.steps) == (True, ("add service two: tcp 192.0.2.2:80",))
    assert bench.daemon.steps == [["add service two: tcp 192.0.2.2:80"]]
    assert bench.manager.told == ["reloading at 5", "ready"]
    snapshot = bench.reloader.running.snapshot()
    assert (snapshot.loaded_at, snapshot.last_success_at) == (1000.0, 1000.0)
    assert bench.kept().content.endswith(service("two", ip="192.0.2.2"))


def test_a_file_with_errors_is_refused_whole(bench: Bench) -> None:
    bench.path.write_text(ONE.replace("wrr", "wrrr") + service("two", ip="192.0.2.2"))
    outcome = result_of(bench.reloader.reload())
    assert not outcome.successful
    assert "pybal.conf:6: [one] scheduler = 'wrrr': must be" in outcome.errors[0]
    assert bench.daemon.steps == []
    assert bench.manager.told == ["reloading at 5", "ready"]
    assert bench.kept().content == ONE
    assert bench.reloader.running.snapshot().last_error_at == 1000.0
    assert any("all goes on as before" in line for line in bench.log.lines)


def test_a_key_that_is_not_set_is_told_with_its_misspelling(bench: Bench) -> None:
    bench.path.write_text(ONE.replace("scheduler", "sheduler") + "[two]\nodd = 1\nprt = 2\n")
    errors = result_of(bench.reloader.reload()).errors
    assert any("[one] scheduler: not set" in error for error in errors)
    assert any("did you mean scheduler?" in error for error in errors)
    assert any("did you mean port?" in error for error in errors)
    assert not any("odd" in error for error in errors)


def test_a_file_cut_off_amid_a_line_of_what_runs_is_refused(bench: Bench) -> None:
    two = ONE + "depool-threshold = .25\n" + service("two", ip="192.0.2.2")
    bench.path.write_text(two)
    assert result_of(bench.reloader.reload()).successful
    bench.daemon.steps.clear()
    part = two[: two.index("5\n[two]")]
    bench.path.write_text(part)
    (error,) = result_of(bench.reloader.reload()).errors
    line = len(part.splitlines())
    assert error.startswith(f"{bench.path}:{line}: ends amid this line, which goes on in the file")
    assert bench.daemon.steps == []
    compared = Deferred.fromCoroutine(bench.reloader.compare(part.encode()))
    assert result_of(compared) == ((), (error,), ())
    bench.path.write_text(f"{part}\n")
    assert result_of(bench.reloader.reload()).successful
    assert any("remove service two" in step for step in bench.daemon.steps[0])


@pytest.mark.parametrize(
    ("running", "content", "line"),
    [
        (b"a = 1\nb = 2\n", b"a = 1\nb =", 2),
        (b"a = 1\nb = 2\n", b"a =", 1),
        (b"a = 1\nb = 2\n", b"a = 1\n", 0),  # whole lines have gone
        (b"a = 1\nb = 2\n", b"a = 1", 0),
        (b"a = 1\r\nb = 2\n", b"a = 1\r", 0),
        (b"a = 1\nb = 2\n", b"a = 1\nb = 2", 0),  # an editor leaves the last end out
        (b"a = 1\nb = 2\n", b"a = 1\nc", 0),  # it is another one
        (b"a = 1\n", b"a = 1\nb", 0),
        (b"a = 1\n", b"a = 1\n", 0),
        (b"a = 1\n", b"", 0),
    ],
)
def test_a_content_is_a_part_of_what_runs(running: bytes, content: bytes, line: int) -> None:
    assert cut_off(running, content) == line


def test_a_file_that_needs_code_of_another_version_is_refused_whole(bench: Bench) -> None:
    bench.path.write_text(ONE + service("two", ip="192.0.2.2"))
    bench.no_code = "PyBal has been upgraded"
    (error,) = result_of(bench.reloader.reload()).errors
    assert error == f"{bench.path}: PyBal has been upgraded"
    assert bench.daemon.steps == []
    bench.no_code = None
    assert result_of(bench.reloader.reload()).successful


def test_a_file_cut_off_before_its_services_removes_none_of_them(bench: Bench) -> None:
    bench.path.write_text("[global]\n")
    (error,) = result_of(bench.reloader.reload()).errors
    assert "holds no service, while 1 run" in error
    assert [line for line in bench.log.lines if error in line] == [f"[pybal] ERROR: {error}"]
    compared = Deferred.fromCoroutine(bench.reloader.compare(b"[global]\n"))
    assert result_of(compared)[:2] == ((), (error,))
    assert bench.daemon.steps == []
    assert bench.kept().content == ONE


def test_the_same_file_is_a_reload_of_no_steps(bench: Bench) -> None:
    assert result_of(bench.reloader.reload()).steps == ()
    assert bench.daemon.steps == [[]]


def test_reloads_follow_one_another_and_what_is_asked_meanwhile_is_one_more(bench: Bench) -> None:
    bench.daemon.gate = Deferred()
    first = bench.reloader.reload()
    bench.path.write_text(ONE + service("two", ip="192.0.2.2"))
    second, third = bench.reloader.reload(), bench.reloader.reload()
    assert not first.called
    gate, bench.daemon.gate = bench.daemon.gate, succeed(None)
    gate.callback(None)
    assert result_of(first).steps == ()
    assert result_of(second).steps == result_of(third).steps != ()
    assert len(bench.daemon.steps) == 2


def test_a_failure_while_going_over_is_said_and_the_next_reload_works(bench: Bench) -> None:
    bench.daemon.error = ValueError("oops")
    outcome = result_of(bench.reloader.reload())
    assert outcome.errors == ("ValueError: oops",)
    assert outcome.outcome is ReloadOutcome.IN_PART
    assert not any("all goes on as before" in line for line in bench.log.lines)
    bench.daemon.error = None
    assert result_of(bench.reloader.reload()).successful


def test_a_failure_before_going_over_has_changed_nothing(bench: Bench) -> None:
    bench.no_options = KeyError("dryrun")
    outcome = result_of(bench.reloader.reload())
    assert (outcome.outcome, outcome.errors) == (ReloadOutcome.REFUSED, ("KeyError: 'dryrun'",))
    assert bench.daemon.steps == []


def test_what_was_applied_in_part_says_what_was_to_be_done_and_is_not_kept_as_good(
    bench: Bench,
) -> None:
    bench.path.write_text(ONE + service("two", ip="192.0.2.2"))
    bench.daemon.error = ValueError("oops")
    outcome = result_of(bench.reloader.reload())
    assert outcome.steps == ("add service two: tcp 192.0.2.2:80",)
    assert bench.reloader.running.snapshot().last_reload == outcome
    assert bench.kept().content == ONE


def test_a_stop_cuts_short_the_reload_and_those_that_wait(bench: Bench) -> None:
    assert result_of(bench.reloader.reload()).successful
    bench.manager.told.clear()
    bench.ended.clear()
    bench.daemon.gate = Deferred()
    under_way, waiting = bench.reloader.reload(), bench.reloader.reload()
    bench.reloader.stop()
    for each in (under_way, waiting, bench.reloader.reload()):
        outcome = result_of(each)
        assert outcome.outcome is ReloadOutcome.CUT_SHORT
        assert not outcome.successful
    assert bench.manager.told == ["reloading at 5"], "the service manager knows that we stop"
    assert bench.ended == []


def test_a_missing_file_is_an_error_like_any_other(bench: Bench) -> None:
    bench.path.unlink()
    (error,) = result_of(bench.reloader.reload()).errors
    assert error.endswith("cannot be read: No such file or directory")


def test_a_file_that_is_not_what_runs_is_seen_and_since_when(bench: Bench) -> None:
    bench.clock.advance(LOOK_EVERY_S)
    assert bench.reloader.running.snapshot().differs_since is None
    bench.path.write_text(ONE + "# changed\n")
    bench.clock.advance(LOOK_EVERY_S)
    assert bench.reloader.running.snapshot().differs_since == 1000.0
    bench.path.write_text(ONE)
    bench.clock.advance(LOOK_EVERY_S)
    assert bench.reloader.running.snapshot().differs_since is None
    bench.path.unlink()
    bench.clock.advance(LOOK_EVERY_S)
    assert bench.reloader.running.snapshot().differs_since == 1000.0


def test_a_reload_ends_the_difference(bench: Bench) -> None:
    bench.path.write_text(ONE + "# changed\n")
    bench.clock.advance(LOOK_EVERY_S)
    bench.reloader.reload()
    assert bench.reloader.running.snapshot().differs_since is None


def test_what_a_reload_would_do_can_be_asked_and_changes_nothing(bench: Bench) -> None:
    asked = Deferred.fromCoroutine(
        bench.reloader.compare((ONE + service("two", ip="192.0.2.2")).encode())
    )
    assert result_of(asked) == (("add service two: tcp 192.0.2.2:80",), (), ())
    asked = Deferred.fromCoroutine(bench.reloader.compare(b"[global]\nbgp = x\n"))
    steps, (error, *_), _ = result_of(asked)
    assert steps == ()
    assert "bgp = 'x': must be yes or no" in error
    asked = Deferred.fromCoroutine(bench.reloader.compare(b"# \xff\n\xfe"))
    (error,) = result_of(asked).errors
    assert error == f"{bench.path}:2: not UTF-8 text: byte 0xfe does not fit"
    assert bench.daemon.steps == []


def test_what_is_odd_about_a_good_file_is_told_to_who_asked(bench: Bench) -> None:
    odd = ONE + "shceduler = rr\n"
    (warning,) = result_of(Deferred.fromCoroutine(bench.reloader.compare(odd.encode()))).warnings
    assert warning.startswith(f"{bench.path}:") and "did you mean scheduler?" in warning
    bench.path.write_text(odd)
    assert result_of(bench.reloader.reload()).warnings == (warning,)


def test_what_needs_a_restart_is_remembered_until_it_is_undone(bench: Bench) -> None:
    bench.path.write_text(ONE.replace("[global]\n", "[global]\nstate-directory = /elsewhere\n"))
    for _ in range(2):
        bench.reloader.reload()
        assert bench.reloader.running.snapshot().needs_restart == ("state-directory",)
        assert bench.daemon.settings[-1].state_directory == Path("/var/lib/pybal")
    bench.path.write_text(ONE)
    bench.reloader.reload()
    assert bench.reloader.running.snapshot().needs_restart == ()


def test_what_the_command_line_said_stays_in_force(bench: Bench) -> None:
    bench.dry_run = True
    (step,) = result_of(bench.reloader.reload()).steps
    assert step == "needs a restart: dryrun no -> yes"


def test_after_stop_nothing_is_read(bench: Bench) -> None:
    bench.reloader.stop()
    bench.reloader.stop()
    assert result_of(bench.reloader.reload()).outcome is ReloadOutcome.CUT_SHORT
    assert bench.daemon.steps == []
    assert not bench.clock.getDelayedCalls()


def test_the_last_good_one_at_the_start_is_not_kept_as_good(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    result = load(bench.path)
    assert result.settings is not None
    running = started(result, result.settings, 900.0, errors=("pybal.conf:1: bad",))
    assert running.snapshot().is_last_good
    assert running.snapshot().last_success_at == 0.0
    assert running.last is not None
    assert running.last.errors == ("pybal.conf:1: bad",)


def test_what_people_are_shown_of_the_text_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(ONE + "# bgp-password = hunter2\n")
    result = load(path)
    assert result.settings is not None
    running = started(result, result.settings, 900.0)
    assert "# bgp-password = ***" in running.text
    assert running.text is running.text
