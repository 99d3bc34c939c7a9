"""A Drive for a test, and what asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drive.asking import Asker
from tests.drive.server import DriveServer


@pytest.fixture
def server() -> Iterator[DriveServer]:
    with DriveServer() as running:
        yield running


@pytest.fixture
def asker(server: DriveServer) -> Iterator[Asker]:
    made = Asker(server)
    with made.session:
        yield made
