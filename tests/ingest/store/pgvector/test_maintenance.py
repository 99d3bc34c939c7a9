"""Maintenance of a PostgreSQL store: statistics, drop and check."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.ingest.store.pgvector import maintenance
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from rag_pipeline.ingest.types import StoreFault, StoreFaultKind
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import WIDTH, chunks, file, vectors

pytestmark = pytest.mark.slow


@pytest.fixture
def store(postgres: PostgresServer, schema: str) -> Iterator[PgVectorStore]:
    made = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    yield made
    made.close()


def test_the_model_is_read_from_the_store(store: PgVectorStore, postgres: PostgresServer, schema: str) -> None:
    assert maintenance.read_model(postgres.address(schema)) is None
    store.prepare()
    assert maintenance.read_model(postgres.address(schema)) == ("model-a", WIDTH)


def test_more_files_than_one_statement_deletes_are_dropped(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "DROP_FILES_AT_ONCE", 2)
    for number in range(5):
        store.replace("papers", file(f"{number}"), [(chunks("heron"), vectors(1))])
    store.drop("papers")
    assert store.pipelines() == {}


def test_the_owner_of_a_running_pipeline_is_listed_and_the_pipeline_can_not_be_dropped(
    store: PgVectorStore, postgres: PostgresServer, schema: str
) -> None:
    address = postgres.address(schema)
    runner = PgVectorStore(address, "model-a", WIDTH, owner="reeds:/state (1)")
    other = PgVectorStore(address, "model-a", WIDTH, owner="pond:/state (2)")
    try:
        runner.prepare()
        runner.replace("papers", file("a"), [(chunks("heron"), vectors(1))])
        assert store.pipelines()["papers"].held_by == "reeds:/state (1)"
        with pytest.raises(StateError, match=r"'papers' is run by another process, of reeds:/state \(1\)"):
            other.drop("papers")
        assert store.pipelines()["papers"].files == 1
        runner.close()
        assert store.pipelines()["papers"].held_by is None
        other.drop("papers")
        assert store.files("papers") == {}
    finally:
        runner.close()
        other.close()


def test_a_pipeline_that_has_just_started_is_listed_without_files(
    store: PgVectorStore, postgres: PostgresServer, schema: str
) -> None:
    runner = PgVectorStore(postgres.address(schema), "model-a", WIDTH, owner="reeds:/state (1)")
    runner.prepare()
    runner.files("papers")
    held = store.pipelines()["papers"]
    runner.close()
    assert (held.files, held.held_by) == (0, "reeds:/state (1)")


def test_a_store_of_an_older_version_has_no_leases(store: PgVectorStore, postgres: PostgresServer, schema: str) -> None:
    store.replace("papers", file("a"), [(chunks("heron"), vectors(1))])
    postgres.execute("DROP TABLE {}.owners", schema)
    assert store.pipelines()["papers"].files == 1


def test_manual_changes_are_found(store: PgVectorStore, postgres: PostgresServer, schema: str) -> None:
    for name in ("a", "b", "c"):
        store.replace("papers", file(name), [(chunks("heron", "reeds"), vectors(2))])
    postgres.execute("ALTER TABLE {}.chunks DROP CONSTRAINT chunks_file_fkey", schema)
    postgres.execute("DELETE FROM {}.files WHERE file_id = 'a'", schema)
    postgres.execute("DELETE FROM {0}.chunks USING {0}.files WHERE key = file AND file_id = 'b' AND number = 0", schema)
    postgres.execute("DROP INDEX {}.chunks_embedding", schema)
    postgres.execute("ALTER TABLE {}.chunks ALTER embedding TYPE vector", schema)
    postgres.execute(
        "UPDATE {0}.chunks SET embedding = '[1,2]' FROM {0}.files WHERE key = file AND file_id = 'c' AND number = 1",
        schema,
    )
    orphan, *others = store.faults()
    assert (orphan.pipeline_id, orphan.kind, orphan.count) == ("", StoreFaultKind.CHUNKS_WITHOUT_FILE, 2)
    assert others == [
        StoreFault("papers", "b", StoreFaultKind.MISSING_CHUNKS, 1),
        StoreFault("papers", "c", StoreFaultKind.WRONG_VECTORS, 1),
    ]
    store.tidy()
    assert store.faults() == others


def test_faults_of_moved_and_copied_files_are_those_of_their_own_chunks(
    store: PgVectorStore, postgres: PostgresServer, schema: str
) -> None:
    store.replace("papers", file("a"), [(chunks("heron", "reeds"), vectors(2))])
    store.copy("papers", "a", file("copy"))
    store.move("papers", "a", file("moved"))
    store.replace("papers", file("a"), [(chunks("otter", "holt"), vectors(2))])
    assert store.faults() == []
    postgres.execute(
        "DELETE FROM {0}.chunks USING {0}.files WHERE key = file AND file_id = 'moved' AND number = 0", schema
    )
    assert store.faults() == [StoreFault("papers", "moved", StoreFaultKind.MISSING_CHUNKS, 1)]


def test_a_file_with_two_rows_is_found_and_deleting_it_removes_both(
    store: PgVectorStore, postgres: PostgresServer, schema: str
) -> None:
    for name in ("a", "b"):
        store.replace("papers", file(name), [(chunks("heron"), vectors(1))])
    postgres.execute("UPDATE {}.files SET file_id = 'a'", schema)
    assert store.faults() == [StoreFault("papers", "a", StoreFaultKind.SEVERAL_ROWS, 2)]
    store.tidy()
    assert store.faults() != []
    store.delete("papers", "a")
    assert (store.faults(), store.pipelines()) == ([], {})
