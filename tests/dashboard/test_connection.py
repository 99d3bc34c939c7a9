"""The page shows whether it is live, reconnecting or behind, and catches up without a reload."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from rag_pipeline.http_server.page import Addresses
from tests.dashboard.browser import Window, window
from tests.deploy.proxying import free_ports, needs_nginx, nginx
from tests.journal.cut_proxy import CutProxy, proxy_to
from tests.support.http_get import get_json
from tests.support.programs import Program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
        location / {{ proxy_pass http://127.0.0.1:{server.http_port}; }}
        location /socket.io/ {{ proxy_pass http://127.0.0.1:{server.socket_port}; }}
    }}
}}
"""


class Served(Program):
    """A process of :mod:`tests.dashboard.program`."""

    def tell(self, line: str) -> None:
        """Send the command, and wait until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        self.expect(f"did {line}")


@contextmanager
def proxied(server: StatusServer) -> Iterator[CutProxy]:
    """Make pages of the service use a proxy's port for Socket.IO."""
    with proxy_to(server.socket_port) as proxy:
        server._view.addresses = Addresses(server.http_port, proxy.port)
        yield proxy


def test_a_connected_page_is_live(desk: Window, pipeline: PipelineStatus) -> None:
    word = desk.page.get_by_role("status").and_(desk.page.locator("#connection-word"))
    expect(word).to_have_text("Live")
    expect(word).to_have_attribute("aria-live", "polite")
    pipeline.update(status="idle")
    expect(desk.page.locator("#connection-detail")).to_contain_text("last event at")
    expect(desk.page).to_have_title("Idle – Pipelines")


@pytest.mark.parametrize(
    ("status", "behind", "word", "tone"),
    [
        ("connecting", 0, "Connecting", "neutral"),
        ("live", 0, "Live", "good"),
        ("live", 6, "Behind by 6 s", "warn"),
        ("catching-up", 0, "Catching up", "warn"),
        ("closed", 0, "Disconnected", "neutral"),
    ],
)
def test_the_connection_status_has_a_word_and_a_tone(
    desk: Window, status: str, behind: int, word: str, tone: str
) -> None:
    expect(desk.page.locator("#connection-word")).to_have_text("Live")
    shown = desk.run(
        "connection-status.js",
        """const connection = { status: given[0], since: Date.now(), error: null, attempts: 0 };
        new m.ConnectionStatus("").show({ connection, lastEventAt: null }, given[1]);
        const sign = document.getElementById("connection");
        return [sign.innerText.replaceAll(/\\s+/g, " ").trim(), sign.dataset.tone];""",
        [status, behind],
    )
    assert shown == [word, tone]


def test_after_a_break_the_page_catches_up_without_a_reload(
    browser: Browser, server: StatusServer, pipeline: PipelineStatus
) -> None:
    with proxied(server) as proxy, window(browser) as opened:
        pipeline.add_processing_file("before.pdf")
        page = opened.visit(server.http_port).page
        expect(page.locator("#connection-word")).to_have_text("Live")
        page.evaluate("window.loadedOnce = true")
        proxy.cut()
        expect(page.locator("#connection-word")).to_have_text("Reconnecting")
        expect(page.locator("#connection-detail")).to_contain_text(re.compile(r"since .*\d+ s"))
        expect(page.locator("#connection")).to_have_attribute("data-tone", "warn")
        expect(page).to_have_title("Not live – Pipelines")
        pipeline.complete_file("before.pdf")
        pipeline.complete_file("meanwhile.pdf")
        expect(page.locator(".flight")).to_have_count(1)  # the page still shows the state from before the break
        proxy.mend()
        expect(page.locator("#connection-word")).to_have_text("Live")
        expect(page.locator(".flight")).to_have_count(0)
        expect(page.locator(".files").filter(has_text="before.pdf")).to_contain_text("meanwhile.pdf")
        assert page.evaluate("window.loadedOnce") is True


def test_the_page_catches_up_after_a_killed_server_restarts(browser: Browser, tmp_path: Path) -> None:
    http_port, socket_port = free_ports(2)
    arguments = ("-m", "tests.dashboard.program", str(http_port), str(socket_port), str(tmp_path))
    with window(browser) as opened:
        with (first := Served(*arguments)):
            first.expect("did start")
            page = opened.visit(http_port).page
            first.tell("3")
            expect(page.locator(".flight")).to_contain_text("half done.pdf")
            page.evaluate("window.loadedOnce = true")
            first.signal(signal.SIGKILL)
            expect(page.locator("#connection-word")).to_have_text("Reconnecting")
        with (second := Served(*arguments)):
            second.expect("did start")
            second.tell("4")
            expect(page.locator("#connection-word")).to_have_text("Live")
            # Interrupted and tried again since: the search shows the state at its time.
            wait_until(lambda: get_json(http_port, "/files?q=half").body["files"][0]["attempt"] == 2)
            page.get_by_role("searchbox").fill("half")
            again = page.locator("details").filter(has_text="half done.pdf").first
            again.locator("summary").click()
            expect(again).to_contain_text("Attempts2")
            state = get_json(http_port, "/status").body
            assert state["total_processed"] == 4  # three of them were completed before the kill, and count once
            expect(page.locator(".figure").filter(has_text=re.compile("^Completed")).locator("dd")).to_have_text("4")
            assert page.evaluate("window.loadedOnce") is True


def test_an_unreachable_socket_io_server_is_explained(browser: Browser, server: StatusServer) -> None:
    with proxied(server) as proxy, window(browser) as opened:
        proxy.cut()
        notice = opened.visit(server.http_port).page.locator("#notice")
        expect(notice).to_contain_text(f"can't be reached at http://127.0.0.1:{proxy.port}")
        expect(notice).to_contain_text("SOCKET_IO_CORS_ORIGIN")
        proxy.mend()
        expect(notice).to_be_hidden()
        expect(opened.page.locator("#connection-word")).to_have_text("Live")


@needs_nginx
def test_behind_a_proxy_socket_io_is_found_on_the_same_origin(
    browser: Browser, server: StatusServer, tmp_path: Path, pipeline: PipelineStatus
) -> None:
    (port,) = free_ports(1)
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, server=server))
    pipeline.update(status="idle")
    with nginx(tmp_path / "nginx.conf", port), window(browser) as opened:
        page = opened.visit(port, host="localhost").page
        expect(page.locator("#connection-word")).to_have_text("Live")
        expect(page.locator(".card h2")).to_have_text("papers")
        assert [url for url in opened.sockets if not url.startswith(f"ws://localhost:{port}/")] == []


def test_a_refused_origin_is_explained(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, pipeline: PipelineStatus
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.delenv("SOCKET_IO_CORS_ORIGIN", raising=False)
    with start_status_server(0, pipelines=[pipeline]) as server, window(browser) as opened:
        notice = opened.visit(server.http_port).page.locator("#notice")
        expect(notice).to_contain_text(f"allows http://127.0.0.1:{server.http_port}")
        opened.complaints.clear()  # the browser's messages about the service's CORS policy
