"""A headless Chromium, driven by the W3C WebDriver protocol through chromedriver.

    with Browser(folder) as browser:
        browser.open("http://127.0.0.1:9090/status")

Needs Debian's chromium and chromium-driver; without them it is an error.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.running import until
from tests.stage import entered

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


class Browser:
    """One window. `wrap` turns a command into one that runs in another network namespace."""

    def __init__(
        self, folder: Path, wrap: Callable[..., list[str]] = lambda *command: [*command]
    ) -> None:
        self._folder = folder
        self._wrap = wrap
        self._port = 0
        self._driver: subprocess.Popen[bytes] | None = None
        self._session = ""

    def __enter__(self) -> Self:
        driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
        assert driver and chromium, "no chromium or chromedriver here: scripts/setup integration"
        log_path = self._folder / "chromedriver.log"
        environment = {**os.environ, "HOME": str(self._folder)}
        with log_path.open("wb") as log:
            self._driver = subprocess.Popen(
                self._wrap(driver, "--port=0"),
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        ready = "was started successfully on port "
        said = until(lambda: ready in log_path.read_text() and log_path.read_text(), 30)
        self._port = int(said.split(ready)[1].split(".")[0])
        options = {"binary": chromium, "args": [*_ARGUMENTS, f"--user-data-dir={self._folder}/p"]}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._driver is not None
        with contextlib.suppress(OSError, AssertionError):
            if self._session:
                self._ask("DELETE", self._session)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._driver.pid, signal.SIGKILL)
        self._driver.wait()

    def open(self, url: str) -> None:
        """Go there; returns once the page has been loaded."""
        self._ask("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function with that body returns; a promise is waited for."""
        asked = {"script": script, "args": list(arguments)}
        return self._ask("POST", f"{self._session}/execute/sync", asked)

    def text(self, selector: str) -> str:
        """What is shown in the first element of that selector; empty if there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText||''", selector))

    def type(self, text: str) -> None:
        """Press keys, wherever the focus is."""
        keys = [{"type": way, "value": key} for key in text for way in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": keys}]
        self._ask("POST", f"{self._session}/actions", {"actions": actions})

    def screen(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """What is looked at: its size in CSS pixels, and what its user likes."""
        size = {"width": width, "height": height, "mobile": phone}
        factor = 2 if phone else 1
        self.devtools("Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": factor})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def scripts(self, *, on: bool) -> None:
        """Whether pages that are opened from now on may run any."""
        self.devtools("Emulation.setScriptExecutionDisabled", {"value": not on})

    def devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        """A command of the Chrome DevTools Protocol."""
        asked = {"cmd": command, "params": parameters}
        return self._ask("POST", f"{self._session}/goog/cdp/execute", asked)

    def picture(self, path: Path) -> None:
        """What is to be seen now, as PNG."""
        path.write_bytes(base64.b64decode(self._ask("GET", f"{self._session}/screenshot")))

    def complaints(self) -> list[str]:
        """What the console has said since the last time; violations of the policy are there."""
        entries = self._ask("POST", f"{self._session}/se/log", {"type": "browser"})
        return [str(entry["message"]) for entry in entries]

    def until(self, script: str, *arguments: Any, timeout_s: float = 20.0) -> Any:
        """Until the function with that body returns something true; that."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.run(script, *arguments)):
            assert time.monotonic() < deadline, f"not in {timeout_s} s: {script}"
            time.sleep(0.05)
        return value

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        assert self._driver is not None
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with entered(Path(f"/proc/{self._driver.pid}/ns/net")):
            connection.connect()
        with contextlib.closing(connection):
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        assert answer.status == http.client.OK, f"{method} {path}: {value}"
        return value
