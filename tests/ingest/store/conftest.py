"""Fixtures: the shared PostgreSQL server, and a location for each store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_pipeline.ingest.types import VectorStore
from tests.ingest.store import postgres as servers
from tests.ingest.store.store_locations import StoreLocation

_numbers = itertools.count(1)


@contextmanager
def _running() -> Iterator[servers.PostgresServer]:
    if (reason := servers.missing()) is not None:
        pytest.skip(reason)
    with servers.PostgresServer() as server:
        server.execute("CREATE EXTENSION vector")
        yield server


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[servers.PostgresServer]:
    with _running() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[servers.PostgresServer]:
    """A server for a test that stops it."""
    with _running() as server:
        yield server


@pytest.fixture
def schema() -> str:
    """A schema name for this test alone."""
    return f"test_{next(_numbers)}"


@pytest.fixture
def postgres(shared_postgres: servers.PostgresServer, schema: str) -> Iterator[servers.PostgresServer]:
    """The shared server; the test's schema is dropped at the end."""
    yield shared_postgres
    shared_postgres.execute("DROP SCHEMA IF EXISTS {} CASCADE", schema)


@pytest.fixture(params=["lance", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path, schema: str) -> StoreLocation:
    if request.param == "lance":
        return StoreLocation("lance", str(tmp_path / "store"))
    server: servers.PostgresServer = request.getfixturevalue("postgres")
    return StoreLocation("postgres", server.url(schema=schema))


@pytest.fixture
def store(location: StoreLocation) -> Iterator[VectorStore]:
    store = location.open()
    yield store
    store.close()
