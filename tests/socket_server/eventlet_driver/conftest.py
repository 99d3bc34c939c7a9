from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.socket_server.eventlet_driver.driven import Driven


@pytest.fixture
def driven() -> Iterator[Driven]:
    made = Driven()
    yield made
    if made.thread.is_alive():
        made.stop()
    made.wake.close()
