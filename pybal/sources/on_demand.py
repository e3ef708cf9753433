"""The code of etcd, which most configurations do without: loaded with the first that needs it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pybal.config.settings import EtcdSource, Settings
from pybal.runtime.file_stamp import file_stamp

_MODULE = "pybal.sources.etcd"
_HERE = Path(__file__).parent
_FILES = tuple(
    _HERE / f"{name}.py" for name in ("etcd", "etcdclient", "etcdconnection", "etcdvalues")
)


class CodeOnDemand:
    """Knows the files of that code as they were when this process began. Only those are loaded: an
    upgrade of the package leaves the running daemon alone, and the code of one version does not
    fit into a process of another."""

    def __init__(self, files: Sequence[Path] = _FILES, module: str = _MODULE) -> None:
        self._module = module
        self._found = {file: file_stamp(file) for file in files}

    def load(self, settings: Settings) -> str | None:
        """Load what these settings need, in any thread; what is in the way of that."""
        wanted = any(isinstance(service.source, EtcdSource) for service in settings.services)
        if not wanted or self._module in sys.modules:
            return None
        if any(file_stamp(file) != found for file, found in self._found.items()):
            return (
                "etcd's code is not loaded, as no service needed it, and PyBal has been upgraded"
                " since this process began: `systemctl restart pybal` runs the new version"
            )
        try:
            importlib.import_module(self._module)
        except ImportError as error:
            return f"etcd's code cannot be loaded: {error}"
        return None
