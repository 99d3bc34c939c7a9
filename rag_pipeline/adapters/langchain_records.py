"""A record manager that passes each call on to the user's, and shows those that say how a run goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.indexing import RecordManager

from rag_pipeline.adapters.langchain_run import Indexing
from rag_pipeline.adapters.reporter import Reporter


class WatchedRecords(RecordManager):
    """The user's record manager during one run."""

    def __init__(self, records: RecordManager, vector_store: Any, run: Indexing, reporter: Reporter) -> None:
        super().__init__(namespace=getattr(records, "namespace", ""))
        self._records = records
        self._store = vector_store
        self._run = run
        self._attempt = reporter.attempt

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """Pass it on; what does not exist is embedded and stored next."""
        found = self._records.exists(keys)
        self._attempt(self._run.looked_up, keys, found)
        return found

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        """Pass it on; what does not exist is embedded and stored next."""
        found = await self._records.aexists(keys)
        self._attempt(self._run.looked_up, keys, found)
        return found

    def update(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None, time_at_least: float | None = None
    ) -> None:
        """Pass it on; with sources it says that the batch is stored, without that some of it was before."""
        self._records.update(keys, group_ids=group_ids, time_at_least=time_at_least)
        if group_ids is not None:
            self._attempt(self._run.written)

    async def aupdate(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None, time_at_least: float | None = None
    ) -> None:
        """Pass it on; with sources it says that the batch is stored, without that some of it was before."""
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
        """Pass it on; these are deleted next, and the vector store knows of which files they are."""
        keys = self._records.list_keys(before=before, after=after, group_ids=group_ids, limit=limit)
        if keys and self._run.finds_gone:
            self._attempt(self._look_at, keys)
        return keys

    async def alist_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Pass it on; these are deleted next, and the vector store knows of which files they are."""
        keys = await self._records.alist_keys(before=before, after=after, group_ids=group_ids, limit=limit)
        if keys and self._run.finds_gone:
            try:
                documents = await self._store.aget_by_ids(keys)
            except Exception:  # noqa: BLE001 - not every store can, and then they are only counted
                return keys
            self._attempt(self._run.about_to_delete, documents)
        return keys

    def delete_keys(self, keys: Sequence[str]) -> None:
        """Pass it on; they are gone."""
        self._records.delete_keys(keys)
        self._attempt(self._run.deleted)

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        """Pass it on; they are gone."""
        await self._records.adelete_keys(keys)
        self._attempt(self._run.deleted)

    def create_schema(self) -> None:
        """Pass it on."""
        self._records.create_schema()

    async def acreate_schema(self) -> None:
        """Pass it on."""
        await self._records.acreate_schema()

    def get_time(self) -> float:
        """Pass it on."""
        return self._records.get_time()

    async def aget_time(self) -> float:
        """Pass it on."""
        return await self._records.aget_time()

    def _look_at(self, keys: Sequence[str]) -> None:
        try:
            documents = self._store.get_by_ids(keys)
        except Exception:  # noqa: BLE001 - not every store can, and then they are only counted
            return
        self._run.about_to_delete(documents)
