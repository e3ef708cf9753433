"""A library without some of its parts is the library, once somebody asks for them."""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybal.runtime.lean_imports import (
    import_when_used,
    import_without,
    import_without_programs,
)

NAMES = ("lean_whole", "lean_user", "lean_library")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "lean_whole"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from lean_whole.large import LARGE\nfrom lean_whole.small import SMALL\n"
    )
    (package / "large.py").write_text("LARGE = 1\n")
    (package / "small.py").write_text("SMALL = 2\nfrom lean_whole import other\n")
    (package / "other.py").write_text("")
    (tmp_path / "lean_library.py").write_text("")
    (tmp_path / "lean_user.py").write_text(
        "try:\n    import lean_library\nexcept ImportError:\n    lean_library = None\n"
    )
    yield tmp_path
    for name in [each for each in sys.modules if each.startswith(NAMES)]:
        del sys.modules[name]


def loaded(name: str) -> bool:
    return name in sys.modules


@pytest.mark.usefixtures("folder")
def test_a_part_comes_without_what_the_package_would_import_first() -> None:
    import_when_used("lean_whole")
    assert importlib.import_module("lean_whole.small").SMALL == 2
    assert (loaded("lean_whole.other"), loaded("lean_whole.large")) == (True, False)


@pytest.mark.usefixtures("folder")
def test_all_of_it_comes_with_the_first_name_that_the_package_alone_has() -> None:
    import_when_used("lean_whole")
    whole = importlib.import_module("lean_whole")
    assert not hasattr(whole, "__no_such__")
    assert not loaded("lean_whole.large")
    assert whole.LARGE == 1
    assert whole is sys.modules["lean_whole"]
    with pytest.raises(AttributeError, match="no attribute 'MEDIUM'"):
        _ = whole.MEDIUM


def test_a_module_is_run_with_the_first_name_that_is_asked_for(folder: Path) -> None:
    (folder / "lean_library.py").write_text("import lean_whole\nLIBRARY = 3\n")
    (folder / "lean_user.py").write_text("import lean_library\nimport lean_library as again\n")
    import_when_used("lean_library")
    library = importlib.import_module("lean_user").again
    assert not hasattr(library, "__no_such__")
    assert not loaded("lean_whole")
    assert library.LIBRARY == 3
    assert loaded("lean_whole")
    with pytest.raises(AttributeError, match="no attribute 'MEDIUM'"):
        _ = library.MEDIUM


def test_a_part_is_found_by_the_name_of_its_package(folder: Path) -> None:
    (folder / "lean_whole/plain.py").write_text("PLAIN = 4\n")
    (folder / "lean_user.py").write_text("import lean_whole.plain\nP = lean_whole.plain.PLAIN\n")
    import_when_used("lean_whole.plain")
    assert importlib.import_module("lean_user").P == 4


@pytest.mark.usefixtures("folder")
def test_what_is_there_already_or_not_at_all_stays_as_it_is() -> None:
    whole = importlib.import_module("lean_whole")
    import_when_used("lean_whole")
    assert sys.modules["lean_whole"] is whole
    import_when_used("there_is_no_such_package")
    with pytest.raises(ImportError):
        importlib.import_module("there_is_no_such_package")


@pytest.mark.usefixtures("folder")
def test_a_module_that_can_do_without_a_library_is_imported_without_it() -> None:
    import_without("lean_library", "lean_user")
    assert importlib.import_module("lean_user").lean_library is None
    assert not loaded("lean_library")
    assert importlib.import_module("lean_library"), "it can be had afterwards"


@pytest.mark.usefixtures("folder")
def test_a_library_that_is_loaded_is_not_hidden_and_one_is_never_left_hidden() -> None:
    with pytest.raises(ImportError):
        import_without("lean_library", "there_is_no_such_module")
    library = importlib.import_module("lean_library")
    import_without("lean_library", "lean_user")
    assert importlib.import_module("lean_user").lean_library is library


def test_a_module_that_asks_programs_is_imported_without_them(folder: Path) -> None:
    (folder / "lean_user.py").write_text(
        "import platform, subprocess\nARCH = platform.architecture()\n"
        "try:\n    SAID = subprocess.check_output(['echo'])\nexcept OSError:\n    SAID = None\n"
    )
    import_without_programs("lean_user")
    user = importlib.import_module("lean_user")
    assert user.SAID is None
    assert user.ARCH[0] == platform.architecture()[0]
    assert subprocess.check_output(["echo"]) == b"\n", "it can be run afterwards"
    with pytest.raises(ImportError):
        import_without_programs("there_is_no_such_module")
    assert subprocess.check_output(["echo"]) == b"\n"
