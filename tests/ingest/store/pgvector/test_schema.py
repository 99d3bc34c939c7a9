"""The tables are created once, checked by everyone, and every obstacle is a one-line error."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.pgvector import schema as tables
from rag_pipeline.ingest.store.pgvector.connection_pool import ConnectionPool
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from tests.ingest.store.postgres import PASSWORD, PostgresServer
from tests.ingest.store.samples import ANY, WIDTH, chunks, everything, file, vectors

pytestmark = pytest.mark.slow


def store(server: PostgresServer, schema: str, width: int = WIDTH, **parts: str) -> PgVectorStore:
    return PgVectorStore(server.address(schema, **parts), "model-a", width, reconnect_seconds=0)


def refused(server: PostgresServer, schema: str, width: int = WIDTH, **parts: str) -> str:
    """Return the error message for a store that can't be created or used."""

    def prepare() -> None:
        opened = store(server, schema, width, **parts)
        try:
            opened.prepare()
        finally:
            opened.close()

    with pytest.raises(StoreError) as caught:
        prepare()
    message = str(caught.value)
    assert "\n" not in message
    assert not caught.value.retryable
    return message


@pytest.fixture
def database(postgres: PostgresServer, schema: str) -> Iterator[str]:
    """A database without pgvector, named like the test's schema."""
    postgres.execute("CREATE DATABASE {}", schema)
    yield schema
    postgres.execute("DROP DATABASE {} WITH (FORCE)", schema)


@pytest.fixture
def user(postgres: PostgresServer, schema: str) -> Iterator[str]:
    """A user without any permission."""
    name = f"user_{schema}"
    postgres.execute("CREATE ROLE {} LOGIN PASSWORD 'hush/#?@1'", name)
    yield name
    postgres.execute("DROP OWNED BY {} CASCADE", name)
    postgres.execute("DROP ROLE {}", name)


def test_opening_and_searching_create_nothing(postgres: PostgresServer, schema: str) -> None:
    opened = store(postgres, schema)
    assert not opened.exists
    assert opened.search("a", ANY) == []
    opened.delete("p", "a")
    opened.close()
    assert postgres.execute("SELECT 1 FROM pg_namespace WHERE nspname = {}::text".replace("{}", f"'{schema}'")) == []


def test_everything_is_created_in_an_empty_database(postgres: PostgresServer, database: str) -> None:
    opened = store(postgres, "", database=database)
    opened.prepare()
    assert opened.exists
    opened.close()
    found = postgres.execute("SELECT format, model_id, dimensions FROM rag_pipeline.store", database=database)
    assert found == [(tables.FORMAT, "model-a", WIDTH)]


def test_many_processes_can_create_the_store_at_once(postgres: PostgresServer, database: str) -> None:
    start = threading.Barrier(6)
    failures: list[BaseException] = []

    def make(number: int) -> None:
        # Two schemas in one database that both need the extension.
        opened = store(postgres, f"s{number % 2}", database=database)
        try:
            start.wait(30)
            opened.replace(f"p{number}", file("a"), [(chunks("text"), vectors(1))])
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)
        opened.close()

    threads = [threading.Thread(target=make, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    for schema in ("s0", "s1"):
        assert postgres.execute("SELECT count(*) FROM {}.files", schema, database=database) == [(3,)]


def test_a_store_that_can_not_be_completed_is_not_created(postgres: PostgresServer, user: str, database: str) -> None:
    # A user who may create a schema, but no extension.
    postgres.execute("GRANT CREATE ON DATABASE {} TO {}", database, user)
    message = refused(postgres, "", database=database, user=user, password=PASSWORD)
    assert message.endswith("let an administrator run in this database: CREATE EXTENSION vector")
    assert postgres.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'rag_pipeline'", database=database) == []
    postgres.execute("CREATE EXTENSION vector", database=database)
    opened = store(postgres, "", database=database, user=user)
    opened.replace("p", file("a"), [(chunks("text"), vectors(1))])
    assert len(opened.search("text", ANY)) == 1
    opened.close()


def test_an_existing_schema_needs_no_permission_to_create_one(postgres: PostgresServer, schema: str, user: str) -> None:
    assert refused(postgres, schema, user=user).endswith("the user needs more rights")
    postgres.execute("CREATE SCHEMA {} AUTHORIZATION {}", schema, user)
    opened = store(postgres, schema, user=user)
    opened.prepare()
    opened.close()


def test_a_reader_needs_only_read_permissions(postgres: PostgresServer, schema: str, user: str) -> None:
    writer = store(postgres, schema)
    writer.replace("p", file("a"), [(chunks("text"), vectors(1))])
    postgres.execute("GRANT USAGE ON SCHEMA {} TO {}", schema, user)
    postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}", schema, user)
    reader = store(postgres, schema, user=user)
    assert len(reader.search("text", ANY)) == 1
    with pytest.raises(StoreError, match=r"storing 'b' failed: permission denied .*: the user needs more rights"):
        reader.replace("p", file("b"), [(chunks("text"), vectors(1))])
    assert list(reader.files("p")) == ["a"]
    reader.close()
    writer.close()


def test_pgvector_can_be_in_a_schema_outside_the_search_path(postgres: PostgresServer, database: str) -> None:
    postgres.execute('CREATE SCHEMA "Ext\'ns"', database=database)
    postgres.execute('CREATE EXTENSION vector SCHEMA "Ext\'ns"', database=database)
    for width in (WIDTH, tables.MAX_INDEXED_DIMENSIONS + 1):
        opened = store(postgres, f"w{width}", width, database=database)
        opened.replace("p", file("a"), [(chunks("text"), vectors(1, width=width))])
        assert opened.search("text", vectors(1, width=width)[0])[0].score == pytest.approx(1)
        opened.close()


@pytest.mark.parametrize("width", [1, 2_001, 4_000, 4_001, 16_000])
def test_vectors_of_every_length_that_pgvector_allows(postgres: PostgresServer, schema: str, width: int) -> None:
    opened = store(postgres, schema, width)
    opened.replace("p", file("a"), [(chunks(*["text"] * 3), vectors(3, 1, width))])
    assert opened.search("", vectors(3, 1, width)[1], limit=1)[0].place == "page 2" or width == 1
    opened.close()
    indexed = postgres.execute("SELECT to_regclass(%s)".replace("%s", f"'{schema}.chunks_embedding'")) != [(None,)]
    assert indexed == (width <= tables.MAX_INDEXED_DIMENSIONS)


def test_vectors_that_are_too_long_are_rejected(postgres: PostgresServer, schema: str) -> None:
    assert "16,000 dimensions at most, not 16,001" in refused(postgres, schema, 16_001)


def test_a_newer_format_is_an_error_that_names_it(postgres: PostgresServer, schema: str) -> None:
    opened = store(postgres, schema)
    opened.prepare()
    opened.close()
    postgres.execute("UPDATE {}.store SET format = 7", schema)
    assert "the store has format 7, and this version reads 3: a newer version" in refused(postgres, schema)
    postgres.execute("UPDATE {}.store SET format = 0", schema)
    assert f"DROP SCHEMA {schema} CASCADE" in refused(postgres, schema)
    postgres.execute("DELETE FROM {}.store", schema)
    assert f"DROP SCHEMA {schema} CASCADE" in refused(postgres, schema)


def test_a_store_of_format_1_is_upgraded(postgres: PostgresServer, schema: str) -> None:
    opened = store(postgres, schema)
    opened.replace("p", file("a"), [(chunks("kept"), vectors(1))])
    opened.close()
    postgres.execute("DROP INDEX {}.files_by_id", schema)
    postgres.execute("UPDATE {}.store SET format = 1", schema)
    opened = store(postgres, schema)
    opened.prepare()
    assert opened.move("p", "a", file("b"))
    opened.prepare()
    assert [hit.file_id for hit in everything(opened)] == ["b"]
    opened.close()
    assert postgres.execute("SELECT format FROM {}.store", schema) == [(3,)]
    postgres.execute("DROP INDEX {}.files_by_id", schema)  # the tables exist


def test_a_user_who_does_not_own_a_store_of_format_1_is_told_what_to_run(
    postgres: PostgresServer, schema: str, user: str
) -> None:
    opened = store(postgres, schema)
    opened.prepare()
    opened.close()
    postgres.execute("UPDATE {}.store SET format = 1", schema)
    postgres.execute("GRANT USAGE ON SCHEMA {} TO {}", schema, user)
    postgres.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {}", schema, user)
    postgres.execute("DROP INDEX {}.files_by_id", schema)
    message = refused(postgres, schema, user=user)
    assert "has format 1" in message
    assert "let the owner run CREATE INDEX IF NOT EXISTS files_by_id ON" in message


def test_an_old_pgvector_is_an_error_that_names_it(
    postgres: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "OLDEST_PGVECTOR", (0, 80))
    assert "has pgvector 0.8.5, but 0.80 is needed" in refused(postgres, schema)


def test_a_removed_extension_is_an_error_that_names_it(postgres: PostgresServer, database: str) -> None:
    opened = store(postgres, "", database=database)
    opened.prepare()
    opened.close()
    postgres.execute("DROP EXTENSION vector CASCADE", database=database)
    assert "the extension vector was removed" in refused(postgres, "", database=database)


def test_the_error_for_a_server_without_pgvector_says_what_to_install(
    postgres: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "EXTENSION", "no_such_extension")
    message = refused(postgres, "", database=database)
    assert message.endswith("no pgvector: install it there (Debian: apt-get install postgresql-16-pgvector)")


def test_another_encoding_is_rejected(postgres: PostgresServer, database: str) -> None:
    name = f"{database}_latin"
    postgres.execute("CREATE DATABASE {} ENCODING 'LATIN1' TEMPLATE template0", name)
    try:
        assert "the database's encoding is LATIN1, but UTF8 is needed" in refused(postgres, "", database=name)
    finally:
        postgres.execute("DROP DATABASE {} WITH (FORCE)", name)


def test_tables_dropped_meanwhile_are_a_one_line_error(postgres: PostgresServer, schema: str) -> None:
    opened = store(postgres, schema)
    opened.replace("p", file("a"), [(chunks("text"), vectors(1))])
    postgres.execute("DROP SCHEMA {} CASCADE", schema)
    with pytest.raises(StoreError, match="lacks tables of a store") as caught:
        opened.replace("p", file("b"), [(chunks("text"), vectors(1))])
    assert "\n" not in str(caught.value)
    opened.close()


def test_the_error_for_an_incomplete_store_says_how_to_remove_it(postgres: PostgresServer, schema: str) -> None:
    postgres.execute("CREATE SCHEMA {}", schema)
    postgres.execute("CREATE TABLE {}.store (x int)", schema)
    assert f"remove it (DROP SCHEMA IF EXISTS {schema} CASCADE) and start" in refused(postgres, schema)
    postgres.execute("DROP SCHEMA IF EXISTS {} CASCADE", schema)
    opened = store(postgres, schema)
    opened.replace("p", file("a"), [(chunks("text"), vectors(1))])
    postgres.execute("DROP TABLE {}.chunks", schema)
    with pytest.raises(StoreError, match=f"DROP SCHEMA IF EXISTS {schema} CASCADE"):
        opened.replace("p", file("b"), [(chunks("text"), vectors(1))])
    opened.close()


def test_a_process_that_dies_during_creation_leaves_nothing(
    postgres: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_INDEX", "SELECT pg_terminate_backend(pg_backend_pid())")
    link = ConnectionPool(postgres.address(schema), reconnect_seconds=0)
    with pytest.raises(StoreError, match="failed"):
        link.run("making", lambda c: tables.create_store(c, postgres.address(schema), "model-a", WIDTH))
    link.close()
    monkeypatch.undo()
    opened = store(postgres, schema)
    assert not opened.exists
    opened.prepare()
    opened.close()
