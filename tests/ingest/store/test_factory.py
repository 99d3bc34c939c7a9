"""The store that the settings ask for."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError, StateError, StoreError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.factory import check_stored, open_for_search, open_store, owner_of
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from rag_pipeline.ingest.types import VectorStore
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import ANY, WIDTH, chunks, file, vectors
from tests.support.programs import run

STOP = threading.Event()


@pytest.fixture
def shared(postgres: PostgresServer, schema: str) -> IngestSettings:
    return IngestSettings.from_env({"RAG_STORE_URL": postgres.url(schema=schema)})


def test_it_is_in_the_state_folder_unless_set(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with pytest.raises(StoreError, match=f"nothing is stored in {tmp_path} yet: run rag-pipeline local-files DIR"):
        check_stored(IngestSettings(), folder)
    store = open_store(IngestSettings(), folder, "model-a", WIDTH, stop=STOP)
    assert isinstance(store, LanceVectorStore)
    store.replace("p", file("a"), [(chunks("text"), vectors(1))])
    store.close()
    check_stored(IngestSettings(), folder)
    reader = open_for_search(IngestSettings(), folder, "model-a", WIDTH)
    assert len(reader.search("text", ANY)) == 1
    reader.close()


def test_a_pipeline_makes_the_tables_before_the_first_file_is_read(tmp_path: Path, shared: IngestSettings) -> None:
    check_stored(shared, tmp_path / "store")
    with pytest.raises(StoreError, match=r"nothing is stored in postgresql://.*\?schema=.* yet: run rag-pipeline"):
        open_for_search(shared, tmp_path / "store", "model-a", WIDTH)
    store = open_store(shared, tmp_path / "store", "model-a", WIDTH, stop=STOP)
    assert isinstance(store, PgVectorStore)
    reader = open_for_search(shared, tmp_path / "store", "model-a", WIDTH)
    assert reader.search("text", ANY) == []
    reader.close()
    store.close()
    assert not (tmp_path / "store").exists()


def test_two_state_folders_do_not_write_one_pipeline(tmp_path: Path, shared: IngestSettings) -> None:
    def opened(machine: str) -> VectorStore:
        (tmp_path / machine).mkdir(exist_ok=True)
        return open_store(shared, tmp_path / machine / "store", "model-a", WIDTH, stop=STOP)

    one, other = opened("one"), opened("other")
    assert one.files("p") == {}
    with pytest.raises(StateError, match=f"is run by another process, of .*:{tmp_path / 'one'} "):
        other.files("p")
    assert opened("one").files("p") == {}, "the same folder again, as after a kill"
    one.close()
    assert other.files("p") == {}
    other.close()


def test_an_owner_is_known_by_its_folder_and_a_number_of_its_own(tmp_path: Path) -> None:
    owner = owner_of(tmp_path)
    assert owner == owner_of(tmp_path)
    assert f":{tmp_path} (" in owner
    (tmp_path / "owner").write_text("\n")
    assert owner_of(tmp_path) not in (owner, f"{owner.partition('(')[0]}()")
    (tmp_path / "owner").write_bytes(b"\xff")
    with pytest.raises(StateError, match="owner can't be read or written: it holds other data"):
        owner_of(tmp_path)
    with pytest.raises(StateError, match="owner can't be read or written: No such file or directory"):
        owner_of(tmp_path / "none")


def test_who_asks_does_not_wait_for_a_server_that_is_away(tmp_path: Path, own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    settings = IngestSettings.from_env({"RAG_STORE_URL": own_postgres.url()})
    with pytest.raises(StoreError, match="opening the vector store failed: Connection refused"):
        open_for_search(settings, tmp_path, "model-a", WIDTH)


def test_a_missing_library_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = IngestSettings.from_env({"RAG_STORE_URL": "postgresql://db/rag"})
    monkeypatch.delitem(sys.modules, "rag_pipeline.ingest.store.pgvector.store")
    monkeypatch.setitem(sys.modules, "rag_pipeline.ingest.store.pgvector.store", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rag-pipeline\[ingest,pgvector\]'"):
        open_store(settings, tmp_path, "model-a", WIDTH, stop=STOP)


def test_reading_the_settings_loads_no_driver() -> None:
    code = """
import sys
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.factory import open_store
print(IngestSettings.from_env({"RAG_STORE_URL": "postgresql://db/rag"}).store_address)
assert not {"psycopg", "numpy", "lancedb"} & set(sys.modules)
"""
    done = run("-c", code)
    assert (done.stdout, done.stderr) == ("postgresql://db:5432/rag\n", "")
