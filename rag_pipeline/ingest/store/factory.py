"""Opens the store that the settings ask for."""

from __future__ import annotations

import secrets
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.common.private_files import write_private
from rag_pipeline.errors import ConfigurationError, StateError, StoreError
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.types import VectorStore

if TYPE_CHECKING:
    from rag_pipeline.ingest.store.pgvector.store import PgVectorStore

OWNER_NAME = "owner"
_NO_PATIENCE = 0.0  # of people who wait for an answer


def open_store(
    settings: IngestSettings, folder: Path, model_id: str, dimensions: int, *, stop: threading.Event
) -> VectorStore:
    """Open the store for a pipeline: the one in ``folder``, unless RAG_STORE_URL names another.

    Raises StoreError, StateError, or ConfigurationError for a missing library, in one line; Stopped while it waits for
    a server.
    """
    if settings.store_address is None:
        from rag_pipeline.ingest.store.lance.store import LanceVectorStore

        return LanceVectorStore(folder, model_id, dimensions)
    store = _postgres()(
        settings.store_address,
        model_id,
        dimensions,
        stop=stop,
        owner=owner_of(folder.parent),
        spool_dir=folder.parent,
    )
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def open_for_search(settings: IngestSettings, folder: Path, model_id: str, dimensions: int) -> VectorStore:
    """Open the store for questions, which writes nothing; raises StoreError also if nothing was stored yet."""
    if settings.store_address is None:
        from rag_pipeline.ingest.store.lance.store import LanceVectorStore

        return LanceVectorStore(folder, model_id, dimensions)
    store = _postgres()(settings.store_address, model_id, dimensions, patience_seconds=_NO_PATIENCE)
    if not store.exists:
        store.close()
        raise _nothing(settings.store_address)
    return store


def check_stored(settings: IngestSettings, folder: Path) -> None:
    """Raise StoreError if nothing was stored yet, as far as can be told at once: without a model or a server."""
    if settings.store_address is None and not folder.is_dir():
        raise StoreError(nothing_in(folder.parent))


def owner_of(state_dir: Path) -> str:
    """Return what a state folder is known by to a store that others use too; the folder is held by this process.

    By host and path people find it; the number in it tells those of machines that were set up alike. A folder that was
    copied to another machine is another owner. Raises StateError.
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


def nothing_in(state_dir: Path) -> str:
    """Return the sentence for a state folder without a store: where it was looked for, and how to name another."""
    return (
        f"nothing is stored in {state_dir.absolute()} yet: run rag-pipeline local-files DIR first, "
        "or name another state folder by --state-dir or STATUS_STATE_DIR"
    )


def _nothing(address: PostgresAddress) -> StoreError:
    return StoreError(f"nothing is stored in {address} yet: run rag-pipeline local-files DIR first")


def _postgres() -> type[PgVectorStore]:
    try:
        from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
    except ImportError as error:  # psycopg raises it too where there is no libpq
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"RAG_STORE_URL needs a library that can't be loaded ({reason}): "
            "pip install 'rag-pipeline-status[ingest,pgvector]'"
        ) from None
    return PgVectorStore
