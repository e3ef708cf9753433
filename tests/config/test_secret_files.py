"""Where secrets stand, and the files that hold one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pybal.config.bad_value import BadValueError
from pybal.config.ini import read_ini
from pybal.config.secrets import Found, find_secrets, read_secret
from tests.config.texts import GLOBAL_BGP, parse, service


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "password"
    made.touch(0o600)
    return made


def test_secrets_are_found_wherever_they_stand() -> None:
    text = "[DEFAULT]\nconfig = k8s://t@h\n[global]\n[[peer 192.0.2.1]]\nbgp-password = x\n[a]\n"
    assert find_secrets(read_ini(text)) == [
        Found(2, "DEFAULT", "config"),
        Found(5, "peer 192.0.2.1", "bgp-password"),
    ]
    assert find_secrets(read_ini("[global]\nbgp-password =\n[a]\nconfig =\n")) == []


@pytest.mark.parametrize(
    ("value", "doubt"),
    [
        ('"a-secret', "its quote is not closed"),
        ("'a\"b", "its quote is not closed"),
        ("a#secret", "it ends before the #"),
        ("a secret# x", "it ends before the #"),
        ('"a-secret"', ""),
        ("'a#secret'", ""),
        ("a-secret  # of spine 1", ""),
        ('"a-secret"# x', ""),
        ("a-secret ; of#spine 1", ""),
        ('"""a', ""),
    ],
)
def test_a_password_that_is_probably_not_the_one_that_was_meant(value: str, doubt: str) -> None:
    text = f"{GLOBAL_BGP}Bgp-Password={value}\n" + ('"""\n' if '"""' in value else "")
    warnings = parse(f"{text}{service()}").warnings
    assert [(each.line, each.key) for each in warnings] == [(7, "bgp-password")] * bool(doubt)
    assert all(each.message.startswith(doubt) for each in warnings)


def test_a_file_holds_one_line_of_4096_bytes_at_most(path: Path) -> None:
    path.write_text("hunter2\r\n")
    assert read_secret(path) == "hunter2"
    path.write_text("x" * 4096)
    assert read_secret(path) == "x" * 4096
    for wrong in ("x" * 4097, "one\ntwo\n", "x" * 4096 + "\n"):
        path.write_text(wrong)
        with pytest.raises(BadValueError, match="must hold one line of printable text"):
            read_secret(path)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(BadValueError, match="is not a regular file"):
        read_secret(tmp_path / "fifo")


def test_a_file_of_somebody_else_is_refused(path: Path) -> None:
    if os.geteuid() == 0:  # who is not cannot make one that it could read
        os.chown(path, 65534, 65534)
        with pytest.raises(BadValueError, match="neither to root nor to the user that runs this"):
            read_secret(path)
