"""A headless Chromium, and windows that record the page's errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, WebSocket, sync_playwright

CHROMIUM = shutil.which("chromium")
MISSING = "chromium is not installed (Debian: apt-get install chromium)"
DEADLINE_MS = 60_000
DESK = (1280, 900)
PHONE = (360, 740)

# Chromium's own network requests are switched off: nothing leaves the machine.
_OPTIONS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-dev-shm-usage",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium for the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS, headless=True)
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """A tab in its own browser context.

    ``complaints`` are the console's messages: script errors and violations of the page's policy.
    ``broken`` counts failed connections, which some tests expect.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.broken = 0
        self.hosts: set[str | None] = set()
        self.sockets: list[str] = []
        page.set_default_timeout(DEADLINE_MS)
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note_request)
        page.on("websocket", self._note_socket)

    def visit(self, port: int, host: str = "127.0.0.1") -> Self:
        """Load the dashboard from this port."""
        self.page.goto(f"http://{host}:{port}/")
        return self

    def run(self, module: str, body: str, argument: Any = None) -> Any:
        """Run the lines with the dashboard's module as ``m`` and the argument as ``given``; return their result."""
        script = f"async (given) => {{ const m = await import('/dashboard/{module}'); {body} }}"
        return self.page.evaluate(script, argument)

    def check(self) -> None:
        """Assert that no script failed, and that the page kept to its policy and to this machine."""
        assert self.complaints == []
        assert self.hosts <= {"127.0.0.1", "localhost"}

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if "net::ERR_" in message.text or "WebSocket connection" in message.text or "status of" in message.text:
            self.broken += 1
        else:
            self.complaints.append(message.text)

    def _note_request(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).hostname)

    def _note_socket(self, socket: WebSocket) -> None:
        self.hosts.add(urlsplit(socket.url).hostname)
        self.sockets.append(socket.url)


@contextmanager
def window(browser: Browser, size: tuple[int, int] = DESK, **options: Any) -> Iterator[Window]:
    """Open a window, and :meth:`Window.check` it at the end."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    try:
        opened = Window(context.new_page())
        yield opened
        opened.check()
    finally:
        context.close()
