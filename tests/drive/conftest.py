"""Fixtures: a fake Drive, and a client for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drive.client import DriveClient
from tests.drive.server import DriveServer


@pytest.fixture
def server() -> Iterator[DriveServer]:
    with DriveServer() as running:
        yield running


@pytest.fixture
def asker(server: DriveServer) -> Iterator[DriveClient]:
    made = DriveClient(server)
    with made.session:
        yield made
