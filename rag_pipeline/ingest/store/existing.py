"""Opens a store that is there already, whichever model filled it: for looking through it and putting it in order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from rag_pipeline.errors import ConfigurationError, StoreError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.factory import nothing_in
from rag_pipeline.ingest.store.lance.errors import store_errors
from rag_pipeline.ingest.types import StoreUpkeep


class ExistingStore(NamedTuple):
    """An open store, where it is, and the model whose vectors it holds."""

    store: StoreUpkeep
    place: str
    model_id: str
    dimensions: int
    is_shared: bool
    """Whether pipelines of other state folders can be in it too."""


def open_existing(settings: IngestSettings, folder: Path, *, owner: str | None = None) -> ExistingStore:
    """Open the store in ``folder``, unless RAG_STORE_URL names another; nothing is written.

    In PostgreSQL an ``owner`` takes the lease of each pipeline that is changed. Raises StoreError, also if there is no
    store, and ConfigurationError for a missing library.
    """
    if settings.store_address is not None:
        return _open_postgres(settings, owner)
    from rag_pipeline.ingest.store.lance.store import TABLE, LanceVectorStore

    folder = folder.absolute()
    if not (folder / f"{TABLE}.lance").is_dir():
        raise StoreError(nothing_in(folder.parent))
    with store_errors(folder, "opening the vector store"):
        model_id, dimensions = _read_lance_model(folder, TABLE)
    return ExistingStore(LanceVectorStore(folder, model_id, dimensions), str(folder), model_id, dimensions, False)


def _read_lance_model(folder: Path, table: str) -> tuple[str, int]:
    os.environ.setdefault("LANCEDB_LOG", "error")  # before the library loads: its warnings are meant for its authors
    import lancedb

    columns = lancedb.connect(folder).open_table(table).schema
    model_id = (columns.metadata or {}).get(b"model_id", b"?").decode("utf-8", "replace")
    return model_id, columns.field("vector").type.list_size


def _open_postgres(settings: IngestSettings, owner: str | None) -> ExistingStore:
    address = settings.store_address
    assert address is not None
    try:
        from rag_pipeline.ingest.store.pgvector.maintenance import read_model
        from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
    except ImportError as error:  # psycopg raises it too where there is no libpq
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"RAG_STORE_URL needs a library that can't be loaded ({reason}): "
            "pip install 'rag-pipeline-status[ingest,pgvector]'"
        ) from None
    model = read_model(address)
    if model is None:
        raise StoreError(f"nothing is stored in {address} yet: run rag-pipeline local-files DIR first")
    model_id, dimensions = model
    store = PgVectorStore(address, model_id, dimensions, patience_seconds=0.0, owner=owner)
    if owner is not None:
        store.prepare()  # a store of an older version may be without the table of the leases
    return ExistingStore(store, str(address), model_id, dimensions, True)
