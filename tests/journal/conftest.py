"""A Redis for a module's tests, and an empty database for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipeline.journal.redis.connection import Link
from tests.journal.redis_server import RedisServer, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


@pytest.fixture
def link(server: RedisServer) -> Iterator[Link]:
    link = server.link()
    link.call("FLUSHALL")
    yield link
    link.close()
