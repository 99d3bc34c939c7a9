"""The PostgreSQL store: restarts, crashes, concurrent writers, long files, secrets in errors."""

from __future__ import annotations

import logging
import random
import resource
import threading
from collections.abc import Iterator

import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store import chunk_buffer
from rag_pipeline.ingest.store.chunk_buffer import ChunkBatch
from rag_pipeline.ingest.store.pgvector import schema as tables
from rag_pipeline.ingest.store.pgvector import statements
from rag_pipeline.ingest.store.pgvector import store as module
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from rag_pipeline.ingest.types import Chunk, Stopped
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import WIDTH, chunks, everything, file, vectors
from tests.ingest.store.store_locations import StoreLocation, generation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def write(store: PgVectorStore, name: str, number: int) -> None:
    texts = generation(number)
    store.replace("p", file(name, str(number)), [(chunks(*texts), vectors(len(texts)))])


@pytest.mark.parametrize("crash", [False, True], ids=["restart", "crash"])
def test_writes_continue_over_restarts_of_the_server(
    own_postgres: PostgresServer, crash: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = PgVectorStore(own_postgres.address(), "model-a", WIDTH)
    written = [0] * 3
    failures: list[BaseException] = []
    end = threading.Event()

    def run(number: int) -> None:
        try:
            while not end.is_set():
                write(store, f"f{number}", written[number] + 1)
                written[number] += 1
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    def wait_until_each_wrote() -> None:
        before = list(written)
        wait_until(lambda: bool(failures) or all(a > b for a, b in zip(written, before, strict=True)))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
    with caplog.at_level(logging.WARNING):
        for thread in threads:
            thread.start()
        for _ in range(3):
            wait_until_each_wrote()
            own_postgres.crash() if crash else own_postgres.stop()
            own_postgres.start()
        wait_until_each_wrote()
        end.set()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert {name: stored.content_hash for name, stored in store.files("p").items()} == {
        f"f{n}": str(written[n]) for n in range(3)
    }
    texts = sorted(text for number in written for text in generation(number))
    assert sorted(hit.text for hit in everything(store)) == texts
    # A client of an earlier test may disconnect meanwhile.
    assert [record for record in caplog.records if record.name.startswith("rag_pipeline.ingest")] == []
    store.close()


def test_after_a_server_crash_the_old_chunks_or_the_new_ones_are_stored_once(own_postgres: PostgresServer) -> None:
    location = StoreLocation("postgres", own_postgres.url())
    written, pick = 0, random.Random(7)
    for _ in range(3):
        with location.write(written) as process:
            assert process.stdout is not None
            for _ in range(pick.randint(3, 9)):
                written = int(process.stdout.readline())
            own_postgres.crash()
            process.kill()
            written = max([written, *map(int, process.stdout.read().split())])
        own_postgres.start()
        store = location.open()
        found = int(store.files("p")["a"].content_hash)
        assert found in (written, written + 1)
        assert sorted(hit.text for hit in everything(store)) == generation(found)
        store.close()
        written = found


def test_two_writers_of_one_file_take_turns(postgres: PostgresServer, schema: str) -> None:
    failures: list[BaseException] = []

    def run(first: int) -> None:
        store = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
        try:
            for number in range(first, first + 90, 3):
                write(store, "a", number)
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)
        store.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    store = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    number = int(store.files("p")["a"].content_hash)
    assert sorted(hit.text for hit in everything(store)) == generation(number)
    store.close()


def test_processes_write_different_pipelines_concurrently(postgres: PostgresServer, schema: str) -> None:
    location = StoreLocation("postgres", postgres.url(schema=schema))
    other = location.open()
    with location.write(0) as process:
        assert process.stdout is not None
        for number in range(1, 30):
            other.replace("q", file("a", str(number)), [(chunks(f"other {number}"), vectors(1))])
            process.stdout.readline()
        process.kill()
    assert other.files("q")["a"].content_hash == "29"
    assert int(other.files("p")["a"].content_hash) >= 29
    assert [hit.text for hit in everything(other) if hit.text.startswith("other")] == ["other 29"]
    other.close()


def test_a_lock_timeout_is_retryable(postgres: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "BEGIN", "BEGIN; SET LOCAL lock_timeout = '50ms'")
    store = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    write(store, "a", 1)
    with postgres.connect() as holder, holder.transaction():
        holder.execute(f"UPDATE {schema}.files SET name = 'held'")
        with pytest.raises(StoreError, match="another session holds a lock") as caught:
            write(store, "a", 2)
    assert caught.value.retryable
    write(store, "a", 3)
    assert store.files("p")["a"].content_hash == "3"
    store.close()


def test_a_long_file_is_stored_in_parts_and_visible_as_one(
    postgres: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_buffer, "CHUNKS_AT_ONCE", 7)
    store = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    store.replace("p", file("a"), [(chunks(*(f"line {n}" for n in range(100))), vectors(100))])
    assert sorted(int(hit.text.split()[1]) for hit in everything(store)) == list(range(100))
    # An error in a later part also rolls back the earlier parts.
    with pytest.raises(StoreError, match="storing 'a' failed"):
        store.replace("p", file("a", "2"), [([*chunks(*["new"] * 50), *chunks("again 0")], vectors(51))])
    assert store.files("p")["a"].content_hash == "h"
    assert len(everything(store)) == 100
    store.close()


def test_the_memory_of_a_write_does_not_grow_with_the_file(
    postgres: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_INDEXED_DIMENSIONS", 0)  # without an index, which is not tested here
    store = PgVectorStore(postgres.address(schema), "model-a", 384)
    count = 12_000
    made = vectors(500, 1, 384)

    def batches(number: int) -> Iterator[ChunkBatch]:
        for start in range(0, number, 500):
            yield [Chunk(f"line {n} of a long text, " * 20, "", n) for n in range(start, start + 500)], made

    store.replace("p", file("small"), batches(500))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store.replace("p", file("large"), batches(count))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < count * 384 * 4 / 1024 / 2
    store.close()


def test_many_files_are_listed(postgres: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILES_AT_ONCE", 7)
    store = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    for n in range(30):
        store.replace("p", file(f"f{n}"), [([], vectors(0))])
    assert set(store.files("p")) == {f"f{n}" for n in range(30)}
    store.close()


def test_an_error_names_address_and_file_but_no_secret(own_postgres: PostgresServer) -> None:
    store = PgVectorStore(own_postgres.address(), "model-a", WIDTH, reconnect_seconds=0)
    store.prepare()
    own_postgres.stop()
    with pytest.raises(StoreError) as caught:
        write(store, "sub/caf\udce9.txt", 1)
    message = str(caught.value)
    assert message.startswith(f"postgresql://127.0.0.1:{own_postgres.port}/postgres: storing 'caf")
    message.encode("utf-8")
    assert "\n" not in message
    assert "hush" not in message
    assert caught.value.retryable
    store.close()


def test_a_stopped_run_does_not_wait_for_the_server(own_postgres: PostgresServer) -> None:
    stop = threading.Event()
    store = PgVectorStore(own_postgres.address(), "model-a", WIDTH, stop=stop, reconnect_seconds=3600)
    own_postgres.stop()
    stop.set()
    with pytest.raises(Stopped):
        store.files("p")
    store.close()


def test_sessions_end_with_the_store(postgres: PostgresServer, schema: str) -> None:
    store = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    write(store, "a", 1)
    with pytest.raises(StoreError):
        PgVectorStore(postgres.address(schema), "model-b", WIDTH)
    store.close()
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rag-pipeline'"
    wait_until(lambda: postgres.execute(open_ones) == [(0,)])
