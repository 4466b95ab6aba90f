"""A real Chromium, spoken to over its DevTools pipe: no port, no driver, no package.

Source: Chromium's ``--remote-debugging-pipe``: JSON messages ended by NUL, read on descriptor 3, written on 4.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--disable-default-apps", "--disable-extensions",
    "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_SECONDS = 240


def find_chromium() -> str | None:
    """Where the browser lies, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One tab: what it asked for, what it complained of, and how to act in it."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def attach(self) -> None:
        """Take hold of the browser's first tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser, and wait for its answer; events that come between are noted."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def open(self, path: Path, *, width: int, dark: bool = False) -> None:
        """Load a file as a phone or a desktop would, and wait until it is shown."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.evaluate("document.readyState") != "complete" or not self.evaluate(
            "document.querySelector('h1') != null"
        ):
            assert time.monotonic() < deadline, "the page was never complete"
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: int, times: int = 1) -> None:
        """Press a key in whatever has the focus."""
        for _ in range(times):
            for kind in ("rawKeyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path) -> None:
        """Keep what the whole page looks like."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], PATIENCE_SECONDS)
            assert ready, "the browser fell silent"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser is gone"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def _note(self, event: dict[str, Any]) -> None:
        details = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(details["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(details["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(details)[:500])


@contextlib.contextmanager
def open_tab(program: str, profile: Path) -> Iterator[Tab]:
    """A browser of its own with one tab; it is gone at the end."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # High numbers first: descriptors 3 and 4 may be among the four just made.
    high_in, high_out = (fcntl.fcntl(one, fcntl.F_DUPFD, 20) for one in (theirs_in, theirs_out))

    def take_pipes() -> None:
        os.dup2(high_in, 3)
        os.dup2(high_out, 4)

    with subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        pass_fds=(3, 4), preexec_fn=take_pipes,  # noqa: PLW1509 - the child does nothing else before exec
    ) as browser:  # fmt: skip
        for one in (theirs_in, theirs_out, high_in, high_out):
            os.close(one)
        try:
            tab = Tab(ours_in, ours_out)
            tab.attach()
            yield tab
        finally:
            browser.terminate()
            browser.wait(timeout=PATIENCE_SECONDS)
            os.close(ours_in)
            os.close(ours_out)
