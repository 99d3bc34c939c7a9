"""The example pages of the npm package, in a browser, with a real service."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from tests.clients.test_js import PACKAGE, npm_run, pytestmark
from tests.dashboard.browser import CHROMIUM, DEADLINE_MS, MISSING, chromium, window
from tests.support.ports import taken_port
from tests.support.programs import environment

__all__ = ["pytestmark"]

VITE = PACKAGE / "node_modules" / "vite" / "bin" / "vite.js"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(MISSING)
    npm_run("build")
    with chromium() as browser:
        yield browser


@pytest.fixture
def pipeline() -> PipelineStatus:
    pipeline = PipelineStatus("local_files", "papers")
    pipeline.update(status="running")
    return pipeline


def served(monkeypatch: pytest.MonkeyPatch, pipeline: PipelineStatus, origin: str) -> StatusServer:
    """Start a service that pages of the origin may follow."""
    monkeypatch.setenv("SOCKET_IO_CORS_ORIGIN", origin)
    return start_status_server(0, pipelines=[pipeline])


def visit(page: Page, origin: str, name: str, server: StatusServer) -> None:
    expect.set_options(timeout=DEADLINE_MS)
    page.goto(f"{origin}/examples/{name}?url=http://127.0.0.1:{server.socket_port}")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def files() -> Iterator[str]:
    """Serve the package's folder; return its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(PACKAGE))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def vite() -> Iterator[str]:
    """Serve the package's folder with Vite; return its origin."""
    node = shutil.which("node")
    assert node is not None
    with taken_port() as port:
        pass
    command = [node, str(VITE), "--host", "127.0.0.1", "--port", str(port), "--strictPort", str(PACKAGE)]
    process = subprocess.Popen(command, cwd=PACKAGE, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        assert any("ready in" in line for line in lines), "vite did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_store_page_runs_without_a_build_and_follows_the_pipeline(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, pipeline: PipelineStatus, files: str
) -> None:
    with served(monkeypatch, pipeline, files) as server, window(browser) as opened:
        visit(opened.page, files, "store.html", server)
        item = opened.page.locator("li")
        expect(item).to_have_text("papers: running, 0 in flight, 0 done")
        expect(opened.page.locator("#connection")).to_have_text("live")
        pipeline.add_processing_file("a.pdf")
        pipeline.complete_file("b.pdf")
        expect(item).to_have_text("papers: running, 1 in flight, 1 done")
        server.stop()
        expect(opened.page.locator("#connection")).to_have_text("reconnecting")


def test_the_react_page_follows_the_pipeline(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, pipeline: PipelineStatus, vite: str
) -> None:
    with served(monkeypatch, pipeline, vite) as server, window(browser) as opened:
        visit(opened.page, vite, "react.html", server)
        expect(opened.page.locator("h2")).to_have_text("papers: running")
        pipeline.add_processing_file("a.pdf")
        pipeline.file_progress("a.pdf", "chunking", 0.5)
        expect(opened.page.locator("progress")).to_have_attribute("value", "0.5")
        pipeline.complete_file("a.pdf")
        expect(opened.page.locator("progress")).to_have_count(0)


def test_a_hidden_tab_is_updated_without_animation_frames(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, pipeline: PipelineStatus, files: str
) -> None:
    with served(monkeypatch, pipeline, files) as server, window(browser) as opened:
        opened.page.add_init_script("window.requestAnimationFrame = () => 0")  # a hidden tab is not painted
        visit(opened.page, files, "store.html", server)
        pipeline.complete_file("a.pdf")
        expect(opened.page.locator("li")).to_have_text("papers: running, 0 in flight, 1 done")
