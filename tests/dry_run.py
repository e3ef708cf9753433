"""One service without monitors, for a daemon in dry run on this machine."""

from __future__ import annotations

CONFIG = """
[global]
state-directory = none

[web_80]
protocol = tcp
ip = 192.0.2.1
port = 80
scheduler = wrr
config = file://{folder}/pool
monitors = []
"""


def here(*command: str) -> list[str]:
    """Runs a command in no other namespace than the test's own."""
    return [*command]
