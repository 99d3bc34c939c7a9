"""One owner of a pipeline at a time: others are rejected, and a former owner that returns does no harm."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.ingest.store.pgvector import lease
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import ANY, WIDTH, chunks, file, vectors
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


class Open(Protocol):
    def __call__(self, owner: str | None) -> PgVectorStore: ...


@pytest.fixture
def opened(postgres: PostgresServer, schema: str) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_store(owner: str | None) -> PgVectorStore:
            store = PgVectorStore(postgres.address(schema), "model-a", WIDTH, owner=owner)
            stack.callback(store.close)
            store.prepare()
            return store

        yield open_store


def put(store: PgVectorStore, name: str = "a", pipeline_id: str = "p") -> None:
    store.replace(pipeline_id, file(name), [(chunks("text"), vectors(1))])


def owners(postgres: PostgresServer, schema: str) -> list[tuple[object, ...]]:
    return postgres.execute("SELECT pipeline_id, owner FROM {}.owners ORDER BY 1", schema)


def run_out(postgres: PostgresServer, schema: str) -> None:
    """Let all leases expire, as if their holders had not renewed them for long."""
    postgres.execute("UPDATE {}.owners SET until = clock_timestamp() - interval '1 second'", schema)


def test_another_owner_is_rejected_whatever_it_does_first_and_changes_nothing(opened: Open) -> None:
    one, other = opened("web-1:/state"), opened("web-2:/state")
    put(one)
    for act in (
        lambda: other.files("p"),
        lambda: put(other),
        lambda: other.delete("p", "a"),
        lambda: other.rename("p", "a", "b", "file:///b"),
    ):
        with pytest.raises(StateError, match="the pipeline 'p' is run by another process, of web-1:/state: ") as told:
            act()
        assert "\n" not in str(told.value)
    assert one.files("p")["a"].name == "a"
    put(other, pipeline_id="q")
    assert len(other.search("text", ANY)) == 2


def test_a_released_lease_is_available_at_once(postgres: PostgresServer, schema: str, opened: Open) -> None:
    one, other = opened("one"), opened("other")
    put(one)
    one.files("q")
    assert owners(postgres, schema) == [("p", "one"), ("q", "one")]
    one.close()
    assert owners(postgres, schema) == []
    put(other)
    assert owners(postgres, schema) == [("p", "other")]


def test_a_restart_after_a_kill_keeps_the_lease(opened: Open) -> None:
    killed = opened("one")
    put(killed)
    put(opened("one"), "b")


def test_an_expired_lease_is_taken_over_and_lost_to_its_former_owner(
    postgres: PostgresServer, schema: str, opened: Open
) -> None:
    one, other = opened("one"), opened("other")
    put(one)
    run_out(postgres, schema)
    put(one, "b")  # expired, but nobody has taken it
    with pytest.raises(StateError):
        put(other)
    run_out(postgres, schema)
    put(other, "c")
    with pytest.raises(StateError, match="'p' was taken over from this process by another process, of other"):
        one.delete("p", "c")
    other.close()
    with pytest.raises(StateError, match="'p' was taken over from this process for a while, or its tables"):
        put(one, "d")
    assert set(opened("other").files("p")) == {"a", "b", "c"}


def test_a_write_during_a_takeover_is_rolled_back(postgres: PostgresServer, schema: str, opened: Open) -> None:
    one, other = opened("one"), opened("other")
    put(one)
    failures: list[BaseException] = []

    def write() -> None:
        try:
            put(one, "a")
        except StateError as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    with postgres.connect() as holder, holder.transaction():
        holder.execute(f"UPDATE {schema}.files SET name = 'held'")  # the write waits for the row
        thread.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{}%'"
        wait_until(lambda: bool(postgres.execute(waiting.replace("{}", schema))))
        run_out(postgres, schema)
        other.files("p")
    thread.join(30)
    assert len(failures) == 1
    assert other.files("p")["a"].name == "held"


def test_a_lease_is_renewed_while_nothing_is_written(
    postgres: PostgresServer, schema: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    opened("one").files("p")
    run_out(postgres, schema)
    left = "SELECT until > clock_timestamp() + interval '50 seconds' FROM {}.owners"
    wait_until(lambda: postgres.execute(left, schema) == [(True,)])


def test_a_lease_lost_while_nothing_is_written_is_logged_once(
    postgres: PostgresServer,
    schema: str,
    opened: Open,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.02)
    for name in "pq":
        opened("one").files(name)
    postgres.execute("UPDATE {}.owners SET owner = 'other' WHERE pipeline_id = 'p'", schema)
    wait_until(lambda: bool(caplog.messages))
    run_out(postgres, schema)
    wait_until(lambda: postgres.execute("SELECT 1 FROM {}.owners WHERE until > clock_timestamp()", schema) != [])
    assert len(caplog.messages) == 1
    assert caplog.records[0].levelno == logging.ERROR
    assert "'p' was taken over from this process by another process, of other" in caplog.messages[0]


def test_a_short_server_outage_costs_no_lease(own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    store = PgVectorStore(own_postgres.address(), "model-a", WIDTH, owner="one", reconnect_seconds=600)
    store.prepare()
    put(store)
    own_postgres.stop()
    own_postgres.start()
    run_out(own_postgres, "rag_pipeline")
    wait_until(lambda: own_postgres.execute("SELECT until > now() FROM rag_pipeline.owners") == [(True,)])
    put(store, "b")
    own_postgres.stop()
    began = time.monotonic()
    store.close()
    assert time.monotonic() - began < 60, "it is not waited for as long as for a write"


def test_a_store_of_an_older_version_gets_the_table(postgres: PostgresServer, schema: str, opened: Open) -> None:
    old = opened(None)
    put(old)
    postgres.execute("DROP TABLE {}.owners", schema)
    put(old, "b")
    assert len(opened("one").files("p")) == 2
    assert owners(postgres, schema) == [("p", "one")]


def test_several_pipelines_of_one_owner_write_concurrently(postgres: PostgresServer, schema: str, opened: Open) -> None:
    store = opened("one")
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for n in range(10):
                put(store, f"{number}-{n}", "pq"[number % 2])
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(store.files("p")) == len(store.files("q")) == 20
