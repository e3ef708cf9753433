"""Translated services -> the text of pybal.conf and of pool lists. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from pybal.migration.keepalived import Service
from pybal.migration.keepalived_text import Remark


def pybal_conf(
    services: Iterable[Service], remarks: Iterable[Remark], source: str, pools_at: PurePath
) -> str:
    """The whole file; what was not translated stands in it as comments."""
    lines = [
        f"# Made from {one_line(source)} by pybal-from-keepalived.",
        "# keepalived takes out every server that fails; PyBal keeps a share of them pooled:",
        "# depool-threshold, which is .5 unless a service says otherwise.",
        *(f"# {one_line(source)}:{one_line(str(remark))}" for remark in remarks),
        "",
        "[global]",
        "instrumentation = yes",
    ]
    for service in services:
        mark = "#" if service.unusable else ""
        lines += ["", f"{mark}[{service.name}]"]
        if service.unusable:
            lines.append(f"# {service.unusable}")
        keys = dict(service.keys)
        keys["config"] = f"file://{pools_at / service.pool}"
        lines += [f"{mark}{key} = {one_line(value)}" for key, value in keys.items()]
    return "\n".join([*lines, ""])


def pool_list(service: Service) -> str:
    """The list of its servers; those that are left out are comments."""
    lines = [
        f"{{ 'host': {server.host!r}, 'weight': {server.weight}, 'enabled': True }}"
        for server in service.servers
    ]
    lines += [f"# left out: {server.host} port {server.port}" for server in service.left_out]
    return "\n".join([*lines, ""])


def one_line(text: str) -> str:
    """One line that no terminal obeys, whatever is in it."""
    return "".join(c if c.isprintable() else " " for c in text)
