"""What is said of installed packages is what importlib.metadata says."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import zipfile
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from pybal.runtime.entry_points import entry_points_of

GROUP = "pybal.of_this_test"
TEXT = f"[console_scripts]\nx = x:y\n[{GROUP}]\nNTP = pybal_ntp:MONITOR\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def told(group: str = GROUP) -> list[EntryPoint]:
    importlib.invalidate_caches()
    found = list(entry_points_of(group))
    assert found == list(entry_points(group=group))
    return found


def test_without_any_there_is_none(folder: Path) -> None:
    (folder / "ntp-1.0.dist-info").mkdir()
    (folder / "a-file.dist-info").write_text("")
    (folder / "other-1.0.dist-info").mkdir()
    (folder / "other-1.0.dist-info/entry_points.txt").write_text("[another]\n")
    assert told() == []


@pytest.mark.usefixtures("folder")
def test_there_is_pytests_own() -> None:
    assert told("console_scripts")


@pytest.mark.parametrize("info", ["ntp-1.0.dist-info", "ntp.egg-info", "NTP-1.0.DIST-INFO"])
def test_what_a_package_offers_is_found(folder: Path, info: str) -> None:
    (folder / info).mkdir()
    (folder / info / "entry_points.txt").write_text(TEXT)
    (folder / info / "METADATA").write_text("Metadata-Version: 2.1\nName: ntp\nVersion: 1.0\n")
    assert [each.value for each in told()] == ["pybal_ntp:MONITOR"]


def test_an_egg_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "ntp-1.0.egg/EGG-INFO").mkdir(parents=True)
    (folder / "ntp-1.0.egg/EGG-INFO/entry_points.txt").write_text(TEXT)
    (folder / "ntp-1.0.egg/EGG-INFO/PKG-INFO").write_text("Name: ntp\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(folder / "ntp-1.0.egg"))
    assert len(told()) == 1


def test_an_archive_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(folder / "ntp.zip", "w") as archive:
        archive.writestr("ntp-1.0.dist-info/entry_points.txt", TEXT)
        archive.writestr("ntp-1.0.dist-info/METADATA", "Name: ntp\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(folder / "ntp.zip"))
    assert len(told()) == 1


def test_what_another_finder_finds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Finder:
        @staticmethod
        def find_spec(*_: object) -> None:
            return None

        @staticmethod
        def find_distributions(context: object) -> list[object]:
            asked.append(context)
            return []

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert list(entry_points_of(GROUP)) == []
    assert asked


def test_where_no_package_names_the_group_what_knows_all_of_packages_is_not_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: asked.append(group))
    monkeypatch.setattr(sys, "meta_path", [PathFinder])
    monkeypatch.setattr(sys, "path", [str(folder), str(folder / "missing")])
    (folder / "other-1.0.dist-info").mkdir()
    (folder / "other-1.0.dist-info/entry_points.txt").write_text("[another]\n")
    assert list(entry_points_of(GROUP)) == asked == []
    (folder / "other-1.0.dist-info/entry_points.txt").write_text(TEXT)
    entry_points_of(GROUP)
    assert asked == [GROUP]
