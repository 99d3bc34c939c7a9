"""Opens the vector store of a pipeline, of a search, or of the maintenance commands."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rag_pipeline.common.private_files import write_private
from rag_pipeline.errors import ConfigurationError, StateError, StoreError
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.terms.analyzer import TermAnalyzer
from rag_pipeline.ingest.types import MaintainableStore, VectorStore

if TYPE_CHECKING:
    from rag_pipeline.ingest.store.pgvector.store import PgVectorStore

OWNER_NAME = "owner"
_DO_NOT_WAIT = 0.0


class ExistingStore(NamedTuple):
    """An open store, its location, and the model of its vectors."""

    store: MaintainableStore
    location: str
    model_id: str
    dimensions: int
    is_shared: bool
    """Whether pipelines of other state folders may write to it too."""


def open_store(
    settings: IngestSettings, folder: Path, model_id: str, dimensions: int, *, stop: threading.Event
) -> VectorStore:
    """Open the store for a pipeline: the one in ``folder``, unless RAG_STORE_URL names another.

    Raises StoreError, StateError, or ConfigurationError for a missing library, in one line; raises Stopped while it
    waits for a server.
    """
    analyzer = TermAnalyzer(settings.search_language)
    if settings.store_address is None:
        from rag_pipeline.ingest.store.lance.store import LanceVectorStore

        return LanceVectorStore(folder, model_id, dimensions, analyzer=analyzer)
    store = _postgres_store()(
        settings.store_address,
        model_id,
        dimensions,
        stop=stop,
        owner=owner_of(folder.parent),
        buffer_dir=folder.parent,
        analyzer=analyzer,
    )
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def open_for_search(settings: IngestSettings, folder: Path, model_id: str, dimensions: int) -> VectorStore:
    """Open the store for searches, without writing; raises StoreError also if nothing is stored yet."""
    analyzer = TermAnalyzer(settings.search_language)
    if settings.store_address is None:
        from rag_pipeline.ingest.store.lance.store import LanceVectorStore

        return LanceVectorStore(folder, model_id, dimensions, analyzer=analyzer)
    store = _postgres_store()(
        settings.store_address, model_id, dimensions, reconnect_seconds=_DO_NOT_WAIT, analyzer=analyzer
    )
    if not store.exists:
        store.close()
        raise _empty_database(settings.store_address)
    return store


def open_existing(settings: IngestSettings, folder: Path, *, owner: str | None = None) -> ExistingStore:
    """Open the store of any model for maintenance: the one in ``folder``, unless RAG_STORE_URL names another.

    Opening writes nothing. In PostgreSQL, an ``owner`` takes the lease of each pipeline that it changes. Raises
    StoreError, also if there is no store, and ConfigurationError for a missing library.
    """
    analyzer = TermAnalyzer(settings.search_language)
    if settings.store_address is not None:
        return _open_existing_postgres(settings.store_address, owner, analyzer)
    from rag_pipeline.ingest.store.lance.errors import store_errors
    from rag_pipeline.ingest.store.lance.store import TABLE, LanceVectorStore

    folder = folder.absolute()
    if not (folder / f"{TABLE}.lance").is_dir():
        raise _empty_folder(folder.parent)
    with store_errors(folder, "opening the vector store"):
        model_id, dimensions = _read_lance_model(folder, TABLE)
    store = LanceVectorStore(folder, model_id, dimensions, analyzer=analyzer)
    return ExistingStore(store, str(folder), model_id, dimensions, False)


def check_stored(settings: IngestSettings, folder: Path) -> None:
    """Raise StoreError if nothing is stored yet, as far as that is known without loading a model or asking a server."""
    if settings.store_address is None and not folder.is_dir():
        raise _empty_folder(folder.parent)


def owner_of(state_dir: Path) -> str:
    """Return the identity of a state folder, which this process holds, for the leases of a shared store.

    It shows host and path to people; a random number tells apart machines that were set up alike. A state folder that
    was copied to another machine is another owner. Raises StateError.
    """
    path = state_dir / OWNER_NAME
    try:
        number = path.read_text(encoding="ascii").strip() if path.exists() else ""
        if not number:
            number = secrets.token_hex(8)
            write_private(path, f"{number}\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds other data"
        raise StateError(f"{path} can't be read or written: {reason}") from None
    return f"{socket.gethostname()}:{state_dir} ({number[:16]})"


def _open_existing_postgres(address: PostgresAddress, owner: str | None, analyzer: TermAnalyzer) -> ExistingStore:
    store_class = _postgres_store()
    from rag_pipeline.ingest.store.pgvector.maintenance import read_model

    model = read_model(address)
    if model is None:
        raise _empty_database(address)
    store = store_class(address, *model, reconnect_seconds=_DO_NOT_WAIT, owner=owner, analyzer=analyzer)
    if owner is not None:
        store.prepare()  # a store of an older version may lack the table of leases
    return ExistingStore(store, str(address), *model, True)


def _read_lance_model(folder: Path, table: str) -> tuple[str, int]:
    os.environ.setdefault("LANCEDB_LOG", "error")  # set before the import: its warnings are for its authors
    import lancedb

    columns = lancedb.connect(folder).open_table(table).schema
    model_id = (columns.metadata or {}).get(b"model_id", b"?").decode("utf-8", "replace")
    return model_id, columns.field("vector").type.list_size


def _postgres_store() -> type[PgVectorStore]:
    try:
        from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
    except ImportError as error:  # psycopg raises it too if libpq is missing
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"RAG_STORE_URL needs a library that can't be loaded ({reason}): "
            "pip install 'rag-pipeline-status[ingest,pgvector]'"
        ) from None
    return PgVectorStore


def _empty_folder(state_dir: Path) -> StoreError:
    return StoreError(
        f"nothing is stored in {state_dir.absolute()} yet: run rag-pipeline local-files DIR first, "
        "or name another state folder by --state-dir or STATUS_STATE_DIR"
    )


def _empty_database(address: PostgresAddress) -> StoreError:
    return StoreError(f"nothing is stored in {address} yet: run rag-pipeline local-files DIR first")
