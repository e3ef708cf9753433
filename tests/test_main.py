"""The command line: a person's mistakes get a sentence and an exit status, never a traceback."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pybal.main import main

GOOD = """
[global]

[svc_80]
protocol = tcp
ip = 192.0.2.1
port = 80
scheduler = wrr
config = file:///etc/pybal/svc
monitors = [ "IdleConnection" ]
"""

Capture = pytest.CaptureFixture[str]


def pybal(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """As a process of its own, which takes a second or two."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # the options are any
        [sys.executable, "-m", "pybal", *arguments],
        **({"capture_output": True, "text": True, "timeout": 60, "check": False} | options),
    )


@pytest.mark.slow
def test_check_config_tells_what_would_run(tmp_path: Path) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD)
    done = pybal("--check-config", "-c", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "svc_80" in done.stdout
    assert "192.0.2.1" in done.stdout


def test_check_config_names_file_line_section_and_key(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD.replace("port = 80", "port = http"))
    assert main(["--check-config", "-c", str(path)]) == 1
    assert f"{path}:7: [svc_80] port" in capsys.readouterr().out


@pytest.mark.slow
def test_a_wrong_configuration_is_not_started_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD.replace("scheduler = wrr", "scheduler = best"))
    done = pybal("-n", "-c", str(path))
    assert done.returncode == 1
    assert f"[pybal] ERROR: {path}:8: [svc_80] scheduler" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["missing", "directory", "binary", "truncated", "unreadable"])
def test_a_file_that_cannot_be_used_gets_a_sentence(
    tmp_path: Path, kind: str, capsys: Capture
) -> None:
    path = tmp_path / "pybal.conf"
    match kind:
        case "directory":
            path.mkdir()
        case "binary":
            path.write_bytes(os.urandom(4096))
        case "truncated":
            path.write_text(GOOD[: GOOD.index("config")] + "confi")
        case "unreadable":
            # Root may read anything: a path below a regular file is unreadable to all.
            (tmp_path / "file").write_text("")
            path = tmp_path / "file" / "pybal.conf"
    assert main(["--check-config", "-c", str(path)]) == 1
    assert str(path) in capsys.readouterr().out


def test_a_file_whose_name_is_no_text_gets_a_sentence(tmp_path: Path, capsys: Capture) -> None:
    assert main(["--check-config", "-c", str(tmp_path / "\udcff.conf")]) == 1
    assert "\\udcff.conf: refused" in capsys.readouterr().out


@pytest.mark.slow
def test_a_reader_of_the_check_may_stop_early_and_the_exit_status_stays(tmp_path: Path) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD)
    reader, writer = os.pipe()
    os.close(reader)
    options = {"capture_output": False, "stdout": writer, "stderr": subprocess.PIPE}
    done = pybal("--check-config", "-c", str(path), **options)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_difference_needs_a_good_file_and_then_a_daemon(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD.replace("port = 80", "port = http"))
    assert main(["--diff", "-c", str(path)]) == 1
    assert f"ERROR: {path}:7: [svc_80] port" in capsys.readouterr().out
    place = tmp_path / "control.sock"
    path.write_text(GOOD.replace("[global]", f"[global]\ncontrol-socket = {place}"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))  # else a daemon of this host's would be asked
        assert main(["--diff", "-c", str(path)]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert f"The control socket {place} is there, but nobody listens at it" in said.err


def test_a_wrong_command_line_exits_with_2(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--no-such-option"])
    assert "usage: pybal" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--json"])
    assert "--json belongs to --check-config" in capsys.readouterr().err, "it starts nothing"
    with pytest.raises(SystemExit, match="2"):
        main(["--diff", "--strict"])
    assert "--strict belongs to" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--diff", "-n"])
    assert "-n and -d belong to a start" in capsys.readouterr().err


def test_a_check_says_what_would_run_with_its_options(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "pybal.conf"
    path.write_text(GOOD)
    assert main(["--check-config", "-c", str(path)]) == 0
    plain = capsys.readouterr().out
    assert main(["--check-config", "-n", "-c", str(path)]) == 0
    new = set(capsys.readouterr().out.splitlines()) - set(plain.splitlines())
    assert {line.split()[0] for line in new} == {"dry", "control"}


def test_the_manual_page_names_every_option(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    options = set(re.findall(r"--?[a-z][a-z-]*", capsys.readouterr().out))
    manual = Path(__file__).parent.parent.joinpath("debian", "pybal.8").read_text()
    assert {"--check-config", "-n"} <= options
    assert options <= set(re.findall(r"--?[a-z][a-z-]*", manual.replace("\\-", "-")))


def test_a_package_that_is_missing_is_said_in_one_line() -> None:
    script = "import sys; sys.path.insert(0, '.'); from pybal.__main__ import run; sys.exit(run())"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"\[pybal\] CRITICAL: the Python package \w+ is missing.*\n", done.stderr)


INTERRUPTED = """
import builtins, sys
import pybal.__main__
imports = builtins.__import__
def interrupted(*args, **others):
    raise KeyboardInterrupt
def importing(name, *args, **others):
    if name == "pybal.main":
        {when}
    return imports(name, *args, **others)
builtins.__import__ = importing
sys.exit(pybal.__main__.run())
"""


@pytest.mark.parametrize(
    "when",
    [
        pytest.param("interrupted()", id="while the rest is imported"),
        pytest.param("imports('pybal.main').main.main = interrupted", id="as the daemon is built"),
    ],
)
def test_ctrl_c_before_the_reactor_runs_ends_it_without_a_traceback(when: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.replace("{when}", when)],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


UNFORESEEN = """
import sys
import pybal.main, pybal.__main__
def no_thread(*arguments):
    raise RuntimeError("can't start new thread")
pybal.main.main = no_thread
sys.exit(pybal.__main__.run())
"""


def test_what_nobody_foresaw_does_not_end_it_as_a_wrong_configuration_does() -> None:
    """After that the service manager tries no more; no memory and no thread may be there again in a
    second."""
    unit = (Path(__file__).parent.parent / "debian" / "pybal.service").read_text()
    (final,) = re.findall("^RestartPreventExitStatus=(.*)", unit, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", UNFORESEEN],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 70
    assert "70" not in final.split() and "1" in final.split()
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("RuntimeError: can't start new thread\n")


SEARCHES = """
import atexit, gc, sys
from pybal.__main__ import run
searches = []
gc.callbacks.append(lambda phase, _: searches.append(phase))
atexit.register(lambda: print(len(searches), gc.isenabled(), gc.get_freeze_count()))
sys.argv = ["pybal", "--version"]
run()
"""


@pytest.mark.slow
def test_what_is_imported_is_not_searched_for_garbage_then_or_later() -> None:
    done = subprocess.run([sys.executable, "-c", SEARCHES], capture_output=True, check=True)
    searches, enabled, passed_over = done.stdout.decode().splitlines()[-1].split()
    assert int(searches) < 20, "some hundred and fifty"
    assert enabled == "True"
    assert int(passed_over) > 20_000
