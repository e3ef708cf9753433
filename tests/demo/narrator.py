"""What the demo says on the terminal; in colour when it is one."""

from __future__ import annotations

import sys

_STYLES = {"title": "1;36", "good": "1;32", "bad": "1;31", "aside": "2", "command": "1;33"}


class DemoError(Exception):
    """Something that the demo was to show did not happen."""


class Narrator:
    """Writes the story, a line at a time, as it happens."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._scene = 0
        self._rows: list[tuple[str, str, str, str, str]] = []

    def title(self, text: str) -> None:
        """A new scene begins."""
        self._scene += 1
        self._write(self._paint("title", f"\n━━ {self._scene}. {text}"))

    def tell(self, text: str) -> None:
        """A line of the story."""
        self._write(f"   {text}")

    def good(self, text: str) -> None:
        """Something was observed as it should be."""
        self._write(self._paint("good", "   ✓ ") + text)

    def bad(self, text: str) -> None:
        """Something was not."""
        self._write(self._paint("bad", "   ✗ ") + text)

    def result(self, what: str, became: str, took_s: float, requests: int, lost: int) -> None:
        """What a scene comes to: a line now, and a row of the table at the end."""
        self._rows.append((what, became, f"{took_s:.2f} s", str(requests), str(lost)))
        self.good(f"{what}: {became} after {took_s:.2f} s; {requests} requests, {lost} lost")

    def table(self) -> None:
        """All results."""
        self.title("What happened, how long it took, how many requests were lost")
        rows = [("what happened", "and then", "after", "requests", "lost"), *self._rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
            cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            self._write("   " + "   ".join(cells).rstrip())

    def command(self, command: str, output: str) -> None:
        """A command and what it printed."""
        self._write(self._paint("command", f"   $ {command}"))
        self.aside(output)

    def aside(self, text: str) -> None:
        """Lines to look at: output, log lines."""
        for line in text.splitlines():
            self._write(self._paint("aside", f"     {line}"))

    def _paint(self, style: str, text: str) -> str:
        return f"\033[{_STYLES[style]}m{text}\033[0m" if self._colour else text

    def _write(self, line: str) -> None:
        print(line, file=sys.stdout, flush=True)
