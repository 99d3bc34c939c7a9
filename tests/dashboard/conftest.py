"""One Chromium for all tests of the dashboard; a service and a window for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from tests.dashboard.browser import CHROMIUM, DEADLINE_MS, MISSING, Window, chromium, window


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(MISSING)
    expect.set_options(timeout=DEADLINE_MS)
    with chromium() as browser:
        yield browser


@pytest.fixture
def pipeline() -> PipelineStatus:
    return PipelineStatus("local_files", "papers")


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with start_status_server(0, pipelines=[pipeline]) as server:
        yield server


@pytest.fixture
def desk(browser: Browser, server: StatusServer) -> Iterator[Window]:
    """A window of the usual size that shows the service."""
    with window(browser) as opened:
        yield opened.visit(server.http_port)
