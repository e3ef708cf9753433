"""Libraries without those of their parts that a small daemon does without."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from typing import Any, NoReturn


def import_without(library: str, *modules: str) -> None:
    """Import modules that can do without a library as if it were not installed. It can be imported
    afterwards as ever, but they do not know of it."""
    if library in sys.modules:
        return
    sys.modules[library] = None  # type: ignore[assignment]  # which ends an import of it
    try:
        for module in modules:
            importlib.import_module(module)
    finally:
        del sys.modules[library]


def import_without_programs(module: str) -> None:
    """Import a module that can do without what other programs say as if there were none. One that
    asks Python's `platform` for all of a machine has `file` look at the interpreter, and waits."""
    run = subprocess.check_output
    subprocess.check_output = _there_is_none
    try:
        importlib.import_module(module)
    finally:
        subprocess.check_output = run


def _there_is_none(*_: object, **__: object) -> NoReturn:
    raise FileNotFoundError("no program is run while this is imported")


def import_when_used(module: str) -> None:
    """From now on a module is imported without being run: that comes as soon as someone asks for a
    name of it. Of a package the parts are imported as ever, but without all that it itself imports.

    `importlib.util.LazyLoader` runs a module as soon as a second import statement looks at it.
    """
    spec = None if module in sys.modules else importlib.util.find_spec(module)
    if spec is None or spec.loader is None:
        return
    loader, hollow = spec.loader, importlib.util.module_from_spec(spec)
    is_package = spec.submodule_search_locations is not None

    def fill(name: str) -> Any:
        if name.startswith("__") or (is_package and importlib.util.find_spec(f"{module}.{name}")):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        del hollow.__dict__["__getattr__"]
        loader.exec_module(hollow)
        return getattr(hollow, name)

    hollow.__dict__["__getattr__"] = fill
    sys.modules[module] = hollow
    parent, _, name = module.rpartition(".")
    if parent:
        # As every import of a part does: `import http.cookiejar` is asked for by `http`'s name.
        setattr(sys.modules[parent], name, hollow)
