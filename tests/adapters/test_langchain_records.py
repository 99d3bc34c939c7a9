"""The wrapper forwards every call, and observes some."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from langchain_core.indexing import InMemoryRecordManager, RecordManager

from rag_pipeline.adapters.langchain_records import ObservedRecordManager
from rag_pipeline.adapters.langchain_run import IndexingRun
from rag_pipeline.adapters.reporter import Reporter
from tests.adapters.watched import new_pipeline


class Run(IndexingRun):
    """Records the observed calls."""

    def __init__(self, *, finds_gone: bool = True) -> None:
        super().__init__(Reporter("langchain", new_pipeline()), finds_gone=finds_gone)
        self.told: list[tuple[Any, ...]] = []

    def looked_up(self, *arguments: Any) -> None:
        self.told.append(("looked up", *arguments))

    def written(self) -> None:
        self.told.append(("written",))

    def about_to_delete(self, documents: Any) -> None:
        self.told.append(("about to delete", documents))

    def deleted(self) -> None:
        self.told.append(("deleted",))


class Store:
    def get_by_ids(self, keys: Any) -> list[str]:
        return [f"document {key}" for key in keys]

    async def aget_by_ids(self, keys: Any) -> list[str]:
        return self.get_by_ids(keys)


class Unable:
    def get_by_ids(self, keys: Any) -> list[str]:
        raise NotImplementedError

    async def aget_by_ids(self, keys: Any) -> list[str]:
        raise NotImplementedError


EXPECTED = [
    ("looked up", ["1", "2"], [False, False]),
    ("written",),
    ("about to delete", ["document 1", "document 2"]),
    ("deleted",),
]


def watched(run: Run, store: object) -> tuple[RecordManager, InMemoryRecordManager]:
    records = InMemoryRecordManager(namespace="n")
    return ObservedRecordManager(records, store, run, Reporter("langchain", new_pipeline())), records


def test_calls_are_forwarded_and_observed() -> None:
    run = Run()
    manager, records = watched(run, Store())
    manager.create_schema()
    assert manager.exists(["1", "2"]) == [False, False]
    manager.update(["1"])
    manager.update(["1", "2"], group_ids=["a", "b"], time_at_least=1.0)
    assert manager.list_keys(group_ids=["a"], limit=5, before=manager.get_time(), after=0) == ["1"]
    run.told[-1:] = []
    assert manager.list_keys() == ["1", "2"]
    manager.delete_keys(["1"])
    assert run.told == EXPECTED
    assert records.list_keys() == ["2"]


def test_async_calls_are_forwarded_and_observed() -> None:
    async def calls() -> None:
        await manager.acreate_schema()
        assert await manager.aexists(["1", "2"]) == [False, False]
        await manager.aupdate(["1"])
        await manager.aupdate(["1", "2"], group_ids=["a", "b"], time_at_least=1.0)
        assert await manager.alist_keys(group_ids=["a"], limit=5, before=await manager.aget_time(), after=0) == ["1"]
        run.told[-1:] = []
        assert await manager.alist_keys() == ["1", "2"]
        await manager.adelete_keys(["1"])

    run = Run()
    manager, records = watched(run, Store())
    asyncio.run(calls())
    assert run.told == EXPECTED
    assert records.list_keys() == ["2"]


@pytest.mark.parametrize("finds_gone", [True, False])
def test_a_store_without_get_by_ids_is_no_error(finds_gone: bool) -> None:
    run = Run(finds_gone=finds_gone)
    manager, records = watched(run, Unable())
    records.update(["1"])
    assert manager.list_keys() == ["1"]
    assert asyncio.run(manager.alist_keys()) == ["1"]
    assert run.told == []


def test_the_store_is_queried_only_if_needed() -> None:
    run = Run(finds_gone=False)
    manager, records = watched(run, None)
    records.update(["1"])
    assert manager.list_keys() == ["1"]
    assert run.told == []


@pytest.mark.parametrize("name", sorted(RecordManager.__abstractmethods__))
def test_signatures_equal_those_of_langchain(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (ObservedRecordManager, RecordManager))
    assert list(ours.parameters) == list(theirs.parameters)
