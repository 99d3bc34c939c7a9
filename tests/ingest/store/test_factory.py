"""Opening the store that the settings name."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError, StateError, StoreError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.factory import check_stored, open_existing, open_for_search, open_store, owner_of
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from rag_pipeline.ingest.types import VectorStore
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import ANY, WIDTH, chunks, file, vectors
from tests.ingest.store.store_locations import StoreLocation
from tests.support.programs import run

STOP = threading.Event()


@pytest.fixture
def shared(postgres: PostgresServer, schema: str) -> IngestSettings:
    return IngestSettings.from_env({"RAG_STORE_URL": postgres.url(schema=schema)})


def test_the_default_store_is_in_the_state_folder(tmp_path: Path) -> None:
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


@pytest.mark.slow
def test_a_pipeline_creates_the_tables_before_it_reads_a_file(tmp_path: Path, shared: IngestSettings) -> None:
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


@pytest.mark.slow
def test_two_state_folders_can_not_write_the_same_pipeline(tmp_path: Path, shared: IngestSettings) -> None:
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


def test_an_owner_has_its_folder_and_a_random_number(tmp_path: Path) -> None:
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


@pytest.mark.slow
def test_a_search_does_not_wait_for_an_unreachable_server(tmp_path: Path, own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    settings = IngestSettings.from_env({"RAG_STORE_URL": own_postgres.url()})
    with pytest.raises(StoreError, match="opening the vector store failed: Connection refused"):
        open_for_search(settings, tmp_path, "model-a", WIDTH)


def test_a_missing_library_error_names_the_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = IngestSettings.from_env({"RAG_STORE_URL": "postgresql://db/rag"})
    monkeypatch.delitem(sys.modules, "rag_pipeline.ingest.store.pgvector.store")
    monkeypatch.setitem(sys.modules, "rag_pipeline.ingest.store.pgvector.store", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rag-pipeline-status\[ingest,pgvector\]'"):
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


def settings_of(location: StoreLocation) -> IngestSettings:
    return IngestSettings.from_env({"RAG_STORE_URL": location.where} if location.kind == "postgres" else {})


def folder_of(location: StoreLocation, tmp_path: Path) -> Path:
    return Path(location.where) if location.kind == "lance" else tmp_path / "store"


def test_an_existing_store_is_opened_with_its_own_model(location: StoreLocation, tmp_path: Path) -> None:
    store = location.open("an older model", 5)
    store.replace("papers", file("a"), [(chunks("heron"), vectors(1, width=5))])
    store.close()
    existing = open_existing(settings_of(location), folder_of(location, tmp_path))
    try:
        assert (existing.model_id, existing.dimensions) == ("an older model", 5)
        assert existing.is_shared == (location.kind == "postgres")
        assert existing.store.pipelines()["papers"].files == 1
    finally:
        existing.store.close()


def test_a_missing_store_is_an_error_and_is_not_created(location: StoreLocation, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nothing is stored in .* yet: run rag-pipeline local-files DIR first"):
        open_existing(settings_of(location), folder_of(location, tmp_path))
    assert not folder_of(location, tmp_path).exists()


def test_a_damaged_store_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "store" / "chunks.lance" / "_versions").mkdir(parents=True)
    (tmp_path / "store" / "chunks.lance" / "_versions" / "1.manifest").write_bytes(b"no manifest")
    with pytest.raises(StoreError, match="the vector store is damaged"):
        open_existing(IngestSettings(), tmp_path / "store")
