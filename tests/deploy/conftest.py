"""A running service, and the marker of what takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipeline import StatusServer, start_status_server


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker; ``-m "not slow"`` leaves out what takes seconds."""
    config.addinivalue_line("markers", "slow: takes seconds, and may need the package index")


@pytest.fixture
def server() -> Iterator[StatusServer]:
    with start_status_server(0) as server:
        yield server
