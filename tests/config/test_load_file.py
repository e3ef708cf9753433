"""Files that cannot be read get a sentence, never a traceback."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.config.texts import GLOBAL_BGP, load, only_problem, parse, service
from tests.state.test_files import Replaced


def refusal(path: Path) -> str:
    result = load(path)
    assert (result.settings, result.file) == (None, str(path))
    (problem,) = result.problems
    assert problem.is_error
    return str(problem)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pybal.conf"


def test_a_good_file_becomes_settings(path: Path) -> None:
    path.write_text("[global]\n" + service())
    result = load(path)
    assert result.problems == ()
    assert result.settings is not None


def test_a_byte_order_mark_does_no_harm(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf[global]\r\n" + service().replace("\n", "\r\n").encode())
    assert load(path).problems == ()


def test_problems_name_the_file(path: Path) -> None:
    path.write_text("[global]\nbgp = x\n" + service())
    assert refusal(path) == f"{path}:2: [global] bgp = 'x': must be yes or no"


def test_a_missing_file(path: Path) -> None:
    assert refusal(path) == f"{path}: cannot be read: No such file or directory"


def test_a_directory(path: Path) -> None:
    path.mkdir()
    assert refusal(path) == f"{path}: is a directory"


def test_a_fifo_does_not_block(path: Path) -> None:
    os.mkfifo(path)
    assert refusal(path) == f"{path}: is not a regular file"


def test_a_file_that_may_not_be_read(path: Path) -> None:
    path.write_text("[global]\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        # Root may read anything, but not a path beyond a regular file.
        assert refusal(path / "x") == f"{path}/x: cannot be read: Not a directory"
    else:
        assert refusal(path) == f"{path}: cannot be read: Permission denied"


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))


def test_a_fifo_that_takes_the_files_place_does_not_block(path: Path) -> None:
    Path(f"{path}.file").touch()
    os.mkfifo(f"{path}.fifo")
    assert refusal(Replaced(path)) == f"{path}: is not a regular file"


def test_a_file_that_is_too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
        assert "larger" not in refusal(path)
        file.truncate(16 * 1024 * 1024 + 1)
    assert refusal(path) == f"{path}: larger than 16 MiB"


def test_a_file_that_is_not_utf_8_says_where(path: Path) -> None:
    path.write_bytes(b"# caf\xe9\r[global]\nlog-level = caf\xe8 # \xe9\n")
    assert refusal(path) == f"{path}:3: not UTF-8 text: byte 0xe8 does not fit"


def test_comments_may_be_in_any_encoding(path: Path) -> None:
    path.write_bytes(b"# caf\xe9\n[global]\n  ; \xff\xfe\n" + service().encode())
    result = load(path)
    assert (result.problems, result.content) == ((), path.read_bytes())
    assert result.settings is not None


def test_a_binary_file(path: Path) -> None:
    path.write_bytes(b"\x7fELF\x02\x01\x01\0\0\0")
    assert refusal(path) == f"{path}:1: not text: it holds NUL characters"


def test_an_empty_file(path: Path) -> None:
    path.write_bytes(b"")
    assert "holds no section" in refusal(path)


def test_a_file_cut_off_in_the_middle_is_refused(path: Path) -> None:
    text = "[global]\n" + service()
    path.write_text(text[: text.index("config")] + "confi")
    errors = {problem.key for problem in load(path).errors}
    assert errors == {None, "config"}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, as /etc/pybal; that of a test is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


SECRETS = [
    ("[global]\nbgp-password = hunter2\n" + service(), "global", "bgp-password"),
    ("[global]\n" + service(config="k8s://hunter2@h"), "svc", "config"),
    ("[global]\n" + service(config="https://h/p?x=hunter2"), "svc", "config"),
    (
        "[global]\n"
        + service(monitors="['ProxyFetch']", proxyfetch__url="http://h/?token=hunter2"),
        "svc",
        "proxyfetch.url",
    ),
    (
        "[global]\n"
        + service(
            monitors="['ProxyFetch']",
            proxyfetch__url="http://h/",
            proxyfetch__headers="{'Authorization': 'hunter2'}",
        ),
        "svc",
        "proxyfetch.headers",
    ),
    ("[DEFAULT]\nconfig = k8s://hunter2@h\n[global]\n" + service(config=None), "DEFAULT", "config"),
]


@pytest.mark.parametrize(("text", "section", "key"), SECRETS)
def test_a_file_with_secrets_that_everybody_may_read_is_a_warning(
    open_folder: Path, text: str, section: str, key: str
) -> None:
    path = open_folder / "pybal.conf"
    path.write_text(text)
    path.chmod(0o644)
    (warning,) = load(path).warnings
    assert (warning.section, warning.key) == (section, key)
    assert warning.message.startswith("a secret, in a file that everybody")
    assert "mode 0644" in warning.message and "hunter2" not in str(warning)
    path.chmod(0o640)
    assert load(path).problems == ()
    path.chmod(0o644)
    open_folder.chmod(0o750)
    assert load(path).problems == (), "nobody else gets so far"


def test_a_file_without_secrets_may_be_read_by_all(open_folder: Path) -> None:
    path = open_folder / "pybal.conf"
    path.write_text("[global]\n" + service(config="http://h/p"))
    path.chmod(0o644)
    assert load(path).problems == ()


def test_a_nul_is_told_with_its_line() -> None:
    assert [problem.line for problem in parse("\n\n\0\n\0").problems] == [3]


def test_a_text_alone_reads_no_files() -> None:
    problem = only_problem(f"{GLOBAL_BGP}bgp-password-file = /x\n{service()}")
    assert "files are not read here" in problem.message


def test_of_a_file_with_errors_a_mebibyte_is_searched_for_what_it_says_of_a_start() -> None:
    for size, strict in ((900_000, True), (1_200_000, False)):
        text = f"[global]\nbgp = x\n#{'x' * size}\nstrict = yes\n{service()}"
        assert parse(text).strict is strict


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_a_file_of_more_lines_than_any_has_is_refused(end: str) -> None:
    text = f"[global]\n{service()}"
    more = 200_000 - text.count("\n")
    assert parse(text + end * more).problems == ()
    (problem,) = parse(text + end * (more + 1)).problems
    assert problem.message == "more than 200000 lines"
