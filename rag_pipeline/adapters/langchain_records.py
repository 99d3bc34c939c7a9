"""A record manager that forwards each call to the user's, and observes those that show the progress of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.indexing import RecordManager

from rag_pipeline.adapters.langchain_run import IndexingRun
from rag_pipeline.adapters.reporter import Reporter


class ObservedRecordManager(RecordManager):
    """Wraps the user's record manager during one run."""

    def __init__(self, records: RecordManager, vector_store: Any, run: IndexingRun, reporter: Reporter) -> None:
        super().__init__(namespace=getattr(records, "namespace", ""))
        self._records = records
        self._store = vector_store
        self._run = run
        self._attempt = reporter.attempt

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """Forward the call; LangChain embeds and stores the missing keys next."""
        exists = self._records.exists(keys)
        self._attempt(self._run.looked_up, keys, exists)
        return exists

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        """Forward the call; LangChain embeds and stores the missing keys next."""
        exists = await self._records.aexists(keys)
        self._attempt(self._run.looked_up, keys, exists)
        return exists

    def update(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None, time_at_least: float | None = None
    ) -> None:
        """Forward the call; with ``group_ids`` the batch is stored, without it refreshes keys that already existed."""
        self._records.update(keys, group_ids=group_ids, time_at_least=time_at_least)
        if group_ids is not None:
            self._attempt(self._run.written)

    async def aupdate(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None, time_at_least: float | None = None
    ) -> None:
        """Forward the call; with ``group_ids`` the batch is stored, without it refreshes keys that already existed."""
        await self._records.aupdate(keys, group_ids=group_ids, time_at_least=time_at_least)
        if group_ids is not None:
            self._attempt(self._run.written)

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Forward the call; LangChain deletes these keys next, and the vector store knows their files."""
        keys = self._records.list_keys(before=before, after=after, group_ids=group_ids, limit=limit)
        if keys and self._run.finds_gone:
            self._attempt(self._observe_deletions, keys)
        return keys

    async def alist_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Forward the call; LangChain deletes these keys next, and the vector store knows their files."""
        keys = await self._records.alist_keys(before=before, after=after, group_ids=group_ids, limit=limit)
        if keys and self._run.finds_gone:
            try:
                documents = await self._store.aget_by_ids(keys)
            except Exception:  # noqa: BLE001 - not every store supports this; then deletions are only counted
                return keys
            self._attempt(self._run.about_to_delete, documents)
        return keys

    def delete_keys(self, keys: Sequence[str]) -> None:
        """Forward the call; the documents are deleted."""
        self._records.delete_keys(keys)
        self._attempt(self._run.deleted)

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        """Forward the call; the documents are deleted."""
        await self._records.adelete_keys(keys)
        self._attempt(self._run.deleted)

    def create_schema(self) -> None:
        """Forward the call."""
        self._records.create_schema()

    async def acreate_schema(self) -> None:
        """Forward the call."""
        await self._records.acreate_schema()

    def get_time(self) -> float:
        """Forward the call."""
        return self._records.get_time()

    async def aget_time(self) -> float:
        """Forward the call."""
        return await self._records.aget_time()

    def _observe_deletions(self, keys: Sequence[str]) -> None:
        try:
            documents = self._store.get_by_ids(keys)
        except Exception:  # noqa: BLE001 - not every store supports this; then deletions are only counted
            return
        self._run.about_to_delete(documents)
