"""The state folder: keeps what must outlive the process; one process at a time uses it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rag_pipeline.common import file_lock
from rag_pipeline.common.private_files import make_private_folder, open_private, warn_if_open, write_private
from rag_pipeline.errors import StateError
from rag_pipeline.ingest.state_dir import STORE_NAME

LOCK_NAME = "lock"


class StateFolder:
    """A state folder, locked by this process until it is closed or the process ends, however it ends.

    A missing folder is created, for its owner only; a folder that others can open is logged. Raises
    :class:`~rag_pipeline.errors.StateError` if another process has the lock, or if the folder can't be created or
    written to; ``key`` names the setting that gave the path.
    """

    def __init__(self, path: Path, key: str = "STATUS_STATE_DIR") -> None:
        self.path = path.absolute()
        self._given = f"{key}={str(path)!r}"
        try:
            make_private_folder(self.path)
            self._lock: int | None = open_private(self.path / LOCK_NAME, os.O_RDWR)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            self._take_lock()
        except BaseException:
            self.close()
            raise
        warn_if_open(self.path)

    @property
    def store(self) -> Path:
        """The folder of the vector store."""
        return self.path / STORE_NAME

    def close(self) -> None:
        """Release the lock; idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_lock(self) -> None:
        assert self._lock is not None
        try:
            file_lock.lock(self._lock)
        except BlockingIOError:
            holder = file_lock.holder(self._lock)
            raise StateError(f"the state folder {self.path} is in use by process {holder}") from None
        except OSError as error:
            raise StateError(
                f"{self._given}: expected a folder that can be locked and written to ({error.strerror})"
            ) from None
        # The folder holds copies of the documents' text, which must not get into a repository around it.
        with suppress(OSError):
            if not (self.path / ".gitignore").exists():
                write_private(self.path / ".gitignore", "*\n")

    def _unusable(self, error: OSError) -> StateError:
        return StateError(f"{self._given}: expected a folder that can be made and written to ({error.strerror})")
