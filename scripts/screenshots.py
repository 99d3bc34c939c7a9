"""Pictures of the dashboard: a moving one, and in light, dark and on a phone; ``scripts/screenshots`` runs this.

It takes a minute: the pages watch the demo from its beginning, so that there is a past to be seen. Times differ from
run to run, the files do not.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from tests.dashboard.browser import PHONE, chromium, window
from tests.support.http_get import get_json
from tests.support.programs import Program
from tests.support.waiting import wait_until

SPEED = 6
SCALE = 1.5
DESK = (1280, 1060)
SHOTS = (("light", DESK, "light"), ("dark", DESK, "dark"), ("phone", PHONE, "light"))

# The moving picture, 900 pixels wide: from 20 completed files, shortly before one fails, which frame 34 shows opened.
FILM = (1000, 850)
FILM_SCALE = 0.9
FRAMES_PER_SECOND = 8
FRAMES = 64
BEGINS_AFTER = 20
OPENS_AT = 34


def worth_seeing(state: dict[str, Any]) -> bool:
    """Return whether there is something of every kind, with files well under way."""
    begun = sum(1 for file in state["files_processing"] if (file["progress"] or 0) > 0.2)
    return state["total_failed"] > 1 and state["total_skipped"] > 0 and state["total_processed"] > 24 and begun > 2


def open_failure(page: Page) -> None:
    """Open the last failure; nothing is focused or pointed at."""
    page.locator(".done details > summary").first.click()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def take(page: Page, path: Path) -> None:
    """Take the picture, with the last failure open."""
    expect(page.locator("#history-rows > li").nth(2)).to_be_visible()
    expect(page.locator("#connection-word")).to_have_text("Live")
    open_failure(page)
    page.screenshot(path=path)
    print(path)


def record(page: Page, path: Path) -> None:
    """Record the moving picture."""
    frames = []
    begun = time.monotonic()
    for number in range(FRAMES):
        page.wait_for_timeout(max(0.0, begun + number / FRAMES_PER_SECOND - time.monotonic()) * 1000)
        if number == OPENS_AT:
            open_failure(page)
        frames.append(Image.open(BytesIO(page.screenshot())))
    duration = 1000 // FRAMES_PER_SECOND
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration, loop=0, lossless=True, method=6)
    print(path)


def main() -> int:
    """Play the demo, record it and take each picture; the argument is the folder they go to."""
    folder = Path(sys.argv[1])
    demo = ("status_server.py", "--port", "0", "--demo", "--speed", str(SPEED))
    with Program(*demo) as running, chromium() as browser, ExitStack() as stack:
        port = int(running.expect(r"http://127\.0\.0\.1:(\d+)/status"))
        film = window(browser, FILM, device_scale_factor=FILM_SCALE)
        moving = stack.enter_context(film).visit(port).page
        pages = []
        for name, size, scheme in SHOTS:
            opened = window(browser, size, color_scheme=scheme, device_scale_factor=SCALE)
            pages.append((name, stack.enter_context(opened).visit(port).page))
        wait_until(lambda: get_json(port, "/status").body["total_processed"] >= BEGINS_AFTER, "the moment to begin")
        record(moving, folder / "dashboard.webp")
        wait_until(lambda: worth_seeing(get_json(port, "/status").body), "a moment worth a picture")
        for name, page in pages:
            take(page, folder / f"dashboard-{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
