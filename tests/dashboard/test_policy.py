"""The page runs only its own scripts, and loads from and connects to the service only."""

from __future__ import annotations

import pytest
import requests
from playwright.sync_api import expect

from rag_pipeline import PipelineStatus, StatusServer
from tests.dashboard.browser import Window
from tests.support.ports import taken_port

pytestmark = pytest.mark.slow

REACH = "(url) => fetch(url, { signal: AbortSignal.timeout(2000) }).then(() => 'had', (error) => error.name)"


def test_everything_is_loaded_from_the_service(desk: Window, server: StatusServer, pipeline: PipelineStatus) -> None:
    page = desk.page
    pipeline.update(status="idle")
    expect(page.locator(".card h2")).to_have_text("papers")
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)")
    assert set(loaded) == {f"http://127.0.0.1:{server.http_port}"}
    assert desk.sockets
    assert all(url.startswith(f"ws://127.0.0.1:{server.socket_port}/socket.io/") for url in desk.sockets)
    assert desk.complaints == []


def test_the_page_connects_to_no_other_port(desk: Window) -> None:
    with taken_port() as port:
        tried = desk.page.evaluate(REACH, f"http://127.0.0.1:{port}/")
    assert tried == "TypeError"
    assert [said for said in desk.complaints if "connect-src" in said]
    desk.complaints.clear()


@pytest.mark.parametrize(
    "act",
    [
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = true'}))",
        "document.body.setAttribute('onclick', 'window.ran = true'); document.body.click()",
        "document.body.append(Object.assign(document.createElement('style'), {textContent: 'body { color: red }'}))",
        "document.body.innerHTML = '<p>'",
    ],
)
def test_no_script_style_or_markup_can_be_injected(desk: Window, act: str) -> None:
    expect(desk.page.locator("#connection-word")).to_have_text("Live")
    ran = desk.page.evaluate(
        f"() => {{ try {{ {act} }} catch {{}} return window.ran ?? document.body.children.length === 1 }}"
    )
    assert ran is False
    assert desk.complaints
    desk.complaints.clear()


def test_no_other_page_may_frame_the_dashboard(server: StatusServer) -> None:
    headers = requests.get(f"http://127.0.0.1:{server.http_port}/", timeout=60).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
