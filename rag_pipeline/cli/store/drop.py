"""``store drop``: removes a pipeline from the store, the ledger and the state folder."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from rag_pipeline.cli.store.locking import lease_owner, locked
from rag_pipeline.errors import StateError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import STORE_NAME
from rag_pipeline.ingest.store.factory import open_existing
from rag_pipeline.sources.google_drive.state_paths import downloads_path, mirror_path
from rag_pipeline.sources.ledger import FILE_NAME, Ledger


def drop(settings: IngestSettings, state_dir: Path, key: str, pipeline_id: str) -> None:
    """Remove everything that is kept of a pipeline; raises StateError if a process runs it.

    The store goes first: if this process is killed, the ledger still lists the pipeline, and it can be dropped again.
    """
    if settings.store_address is None:
        with locked(state_dir, key):
            _drop_stored(settings, state_dir, pipeline_id, None)
            _drop_state(state_dir, pipeline_id)
    else:
        with lease_owner(state_dir, key) as owner:
            _drop_stored(settings, state_dir, pipeline_id, owner)
            _drop_state(state_dir, pipeline_id)


def _drop_stored(settings: IngestSettings, state_dir: Path, pipeline_id: str, owner: str | None) -> None:
    existing = open_existing(settings, state_dir / STORE_NAME, owner=owner)
    try:
        existing.store.drop(pipeline_id)
        if not existing.is_shared:
            existing.store.tidy()  # until then the text stays on the disk
    finally:
        existing.store.close()


def _drop_state(state_dir: Path, pipeline_id: str) -> None:
    if (state_dir / FILE_NAME).is_file():
        with Ledger(state_dir, pipeline_id) as ledger:
            ledger.drop()
    mirror = mirror_path(state_dir, pipeline_id)
    try:
        for path in (mirror, *(mirror.with_name(mirror.name + end) for end in ("-wal", "-shm"))):
            path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.rmtree(downloads_path(state_dir, pipeline_id))
    except OSError as error:
        raise StateError(f"{error.filename} can't be removed: {error.strerror}") from None
