"""Fixtures: a Redis server for each module, an empty database for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipeline.journal.redis.connection import RedisConnection
from tests.journal.redis_server import RedisServer, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


@pytest.fixture
def connection(server: RedisServer) -> Iterator[RedisConnection]:
    connection = server.connection()
    connection.call("FLUSHALL")
    yield connection
    connection.close()
