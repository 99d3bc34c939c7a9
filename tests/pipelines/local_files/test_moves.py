"""Files that move, or are there twice: their text is embedded once, and found at every moment."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.control import Action
from rag_pipeline.errors import StateError, StoreError
from rag_pipeline.pipelines.following import batches, breaker
from rag_pipeline.pipelines.following.deletion_brake import BrakeSettings
from rag_pipeline.pipelines.following.pipeline import FollowingPipeline
from rag_pipeline.pipelines.following.records import Records
from rag_pipeline.pipelines.ingestion import Ingestion
from rag_pipeline.pipelines.ledger import Ledger
from tests.pipelines.local_files.running import Run, running
from tests.pipelines.parts import MemoryStore


class Prober:
    """Asks the store all the time which texts it has, and keeps those that were missing once."""

    def __init__(self, store: MemoryStore, texts: set[str]) -> None:
        self.missing: set[str] = set()
        self._store, self._texts = store, texts
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.is_set():
            self.missing |= self._texts - {line for _, lines in list(self._store.kept.values()) for line in lines}

    def __enter__(self) -> Prober:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class CountingStore(MemoryStore):
    """Counts commits by what they do; ``failures`` is how many of them fail from now on."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: Counter[str] = Counter()
        self.failures = 0

    def move_many(self, pipeline_id: str, moves: Mapping[str, Any]) -> dict[str, int]:
        self._commit("move")
        return super().move_many(pipeline_id, moves)

    def copy_many(self, pipeline_id: str, copies: Iterable[tuple[str, Any]]) -> dict[str, int]:
        self._commit("copy")
        return super().copy_many(pipeline_id, copies)

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        self._commit("delete")
        super().delete_many(pipeline_id, file_ids)

    def _commit(self, what: str) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise StoreError("the disk is full")
        self.commits[what] += 1


MANY = 600


def fill(run: Run, folder: str, count: int = MANY) -> set[str]:
    """Have so many files stored below a folder; return their ids."""
    ids = {f"{folder}/f{number:03}.txt" for number in range(count)}
    for key in ids:
        run.write(key, f"text of {key[-8:]}")
    run.wait(lambda: settled(run, ids), 120)
    return ids


def settled(run: Run, ids: set[str]) -> bool:
    return set(run.store.texts()) == ids and bool(run.state()["status"] == "idle")


def test_a_renamed_folder_is_never_missed_and_nothing_is_embedded_again(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        for number in range(40):
            run.write(f"old/f{number}.txt", f"text {number}")
        run.wait(lambda: settled(run, {f"old/f{number}.txt" for number in range(40)}))
        embedded, read = run.test.embedder.embedded, len(run.test.extractor.read)
        with Prober(run.store, {f"text {number}" for number in range(40)}) as prober:
            (run.folder / "old").rename(run.folder / "new")
            run.wait(lambda: settled(run, {f"new/f{number}.txt" for number in range(40)}))
        assert prober.missing == set()
        assert (run.test.embedder.embedded, len(run.test.extractor.read)) == (embedded, read)
        assert len(run.ended("deleted")) == 40


def test_the_same_content_under_two_names_is_embedded_once_and_said_so(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
        run.write("b.txt", "one")
        run.wait_idle(processed=2)
        assert run.store.texts() == {"a.txt": ["one"], "b.txt": ["one"]}
        assert run.test.embedder.embedded == 1
        assert run.files("completed")[-1]["result"]["same_content_as"] == "a.txt"
        run.write("a.txt", "two")
        run.wait_idle(processed=3)
        assert run.store.texts() == {"a.txt": ["two"], "b.txt": ["one"]}


def test_by_a_name_that_says_another_type_it_is_read_again(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
        run.write("a.md", "one")
        run.wait_idle(processed=2)
        assert run.test.extractor.read == ["a.txt", "a.md"]


def test_a_folder_renamed_while_nobody_looked_is_taken_over_in_a_single_pass(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store) as run:
        for number in range(40):
            run.write(f"old/f{number}.txt", f"text {number}")
        run.wait(lambda: settled(run, {f"old/f{number}.txt" for number in range(40)}))
    (run.folder / "old").rename(run.folder / "new")
    with (
        Prober(store, {f"text {number}" for number in range(40)}) as prober,
        running(tmp_path, store, single=True) as again,
    ):
        assert again.test.embedder.embedded == 0
    assert prober.missing == set()
    assert set(store.texts()) == {f"new/f{number}.txt" for number in range(40)}


def test_files_that_swap_their_names_have_each_their_own_text(tmp_path: Path) -> None:
    store, folder = MemoryStore(), tmp_path / "docs"
    with running(tmp_path, store, start=False, single=True) as run:
        for number in range(40):
            (folder / f"{number}.txt").write_text(f"text of {number}")
        run.thread.start()
        run.thread.join(60)
    for number in range(0, 40, 2):
        one, other, aside = (folder / f"{name}.txt" for name in (number, number + 1, "aside"))
        one.rename(aside)
        other.rename(one)
        aside.rename(other)
    with running(tmp_path, store, single=True) as run:
        run.thread.join(60)
        assert run.error is None
    texts = {name: lines for (_, name), (_, lines) in store.kept.items()}
    assert texts == {f"{number}.txt": [f"text of {number ^ 1}"] for number in range(40)}


def test_files_that_are_deleted_while_another_of_that_size_comes_are_deleted(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
        run.write("b.txt", "two")
        (run.folder / "a.txt").unlink()
        run.wait(lambda: run.store.texts() == {"b.txt": ["two"]})
        run.wait(lambda: run.ended("deleted") == ["a.txt"])


# -- some hundred at once ----------------------------------------------------------------------------------------------


def test_a_folder_of_hundreds_moves_is_copied_and_is_deleted_in_a_few_commits(tmp_path: Path) -> None:
    store = CountingStore()
    with running(tmp_path, store) as run:
        old = fill(run, "old")
        texts = {line for lines in store.texts().values() for line in lines}
        new = {key.replace("old", "new") for key in old}
        with Prober(store, texts) as prober:
            (run.folder / "old").rename(run.folder / "new")
            run.wait(lambda: settled(run, new), 60)
        assert prober.missing == set()
        assert run.test.embedder.embedded == MANY
        # Two workers, each some hundred files or a second at a time.
        assert store.commits["move"] <= 20
        assert store.commits["copy"] == store.commits["delete"] == 0
        assert sorted(run.ended("deleted")) == sorted(old)
        moved = [file for file in run.files("completed") if file["id"] in new]
        assert sorted(file["id"] for file in moved) == sorted(new)
        assert all(file["result"]["same_content_as"] == file["id"].replace("new", "old") for file in moved)
        assert all(file["result"]["chunks"] == 1 for file in moved)
        assert set(run.rows()) == new
        shutil.copytree(run.folder / "new", run.folder / "copy")
        copies = {key.replace("old", "copy") for key in old}
        run.wait(lambda: settled(run, new | copies), 60)
        assert store.commits["copy"] <= 20
        assert run.test.embedder.embedded == MANY
        store.commits.clear()
        shutil.rmtree(run.folder / "copy")
        shutil.rmtree(run.folder / "new")
        run.wait(lambda: bool(run.state().get("deletions_held") == 2 * MANY))
        assert run.status.control is not None
        run.status.control.ask(Action.CONFIRM, deletions=2 * MANY)
        run.wait(lambda: settled(run, set()), 60)
        assert store.commits["delete"] <= 10
        assert sorted(run.ended("deleted")) == sorted(old | new | copies)
        assert run.rows() == {}


@pytest.mark.parametrize("failures", [1, 3])
def test_a_store_that_fails_in_a_batch_loses_nothing_and_nothing_is_told_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr(breaker, "FIRST_WAIT_SECONDS", 0.05)
    store = CountingStore()
    with running(tmp_path, store) as run:
        old = fill(run, "old", 100)
        new = {key.replace("old", "new") for key in old}
        store.failures = failures
        (run.folder / "old").rename(run.folder / "new")
        run.wait(lambda: settled(run, new), 60)
        assert store.failures == 0
        assert sorted(run.ended("deleted")) == sorted(old)
        assert sorted(key for key in run.ended("completed") if key in new) == sorted(new)
        assert run.test.embedder.embedded == 100
        assert (run.state()["total_failed"], set(run.rows())) == (0, new)
        store.failures = failures
        for path in sorted((run.folder / "new").iterdir())[:20]:  # as many as no brake holds
            path.unlink()
        run.wait(lambda: len(store.kept) == 80 and run.state()["status"] == "idle", 60)
        assert len(run.ended("deleted")) == len(set(run.ended("deleted"))) == 120


def test_a_ledger_that_fails_in_a_batch_makes_no_mass_deletion_of_the_moved_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FIRST_WAIT_SECONDS", 0.05)
    with running(tmp_path, brake=BrakeSettings(0, 0)) as run:  # holds every deletion
        old = fill(run, "old", 100)
        full, failed = StateError("the disk is full"), threading.Event()
        full.retryable = True
        plain = Ledger.remove

        def remove(ledger: Ledger, file_id: str, name: str) -> None:
            if not failed.is_set():
                failed.set()
                raise full
            plain(ledger, file_id, name)

        monkeypatch.setattr(Ledger, "remove", remove)
        (run.folder / "old").rename(run.folder / "new")
        new = {key.replace("old", "new") for key in old}
        run.wait(lambda: settled(run, new) and set(run.rows()) == new, 60)
        assert failed.is_set()
        assert sorted(run.ended("deleted")) == sorted(old)
        assert run.test.embedder.embedded == 100
        assert run.state().get("deletions_held") is None


def test_a_pause_and_a_stop_are_taken_between_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_SHARED", 10)
    store = CountingStore()
    with running(tmp_path, store) as run:
        old = fill(run, "old", 200)
        control = run.status.control
        assert control is not None
        plain, pipeline = store.move_many, run.pipeline
        assert isinstance(pipeline, FollowingPipeline)

        def workers() -> int:
            return pipeline._crew.busy

        def move_many(pipeline_id: str, moves: Mapping[str, Any]) -> dict[str, int]:
            control.ask(Action.PAUSE)
            return plain(pipeline_id, moves)

        store.move_many = move_many  # type: ignore[method-assign]
        (run.folder / "old").rename(run.folder / "new")
        run.wait(lambda: run.state()["status"] == "paused" and not workers())
        moved = {key for key in store.texts() if key.startswith("new")}
        assert 10 <= len(moved) <= 20  # that of each worker
        assert len(store.kept) == 200
        store.move_many = plain  # type: ignore[method-assign]
        commits = store.commits["move"]
        control.ask(Action.RESUME)
        run.wait(lambda: store.commits["move"] > commits)
        run.end()
    with running(tmp_path, store, single=True) as again:
        assert again.test.embedder.embedded == 0
        assert set(store.texts()) == {key.replace("old", "new") for key in old}


class KilledError(BaseException):
    """Ends a worker where it stands."""


@pytest.mark.parametrize("after", ["the store", "the ledger", "an event"])
def test_after_a_kill_within_a_batch_all_is_done_and_told_and_nothing_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    store = MemoryStore()

    def kill(*_: object, **__: object) -> None:
        raise KilledError

    with running(tmp_path, store) as run:
        old = fill(run, "old", 100)
        with monkeypatch.context() as patched:
            if after == "the store":
                patched.setattr(Records, "took_over", kill)
            elif after == "the ledger":
                patched.setattr(Ingestion, "report", kill)
            else:
                patched.setattr(Ingestion, "deleted", kill)
            patched.setattr(FollowingPipeline, "_raise_failure", lambda _: None)
            (run.folder / "old").rename(run.folder / "new")
            run.wait(lambda: isinstance(run.pipeline._crew.failure, KilledError))  # type: ignore[attr-defined]
            run.end()
    new = {key.replace("old", "new") for key in old}
    with running(tmp_path, store) as again:
        again.wait(lambda: settled(again, new) and set(again.rows()) == new)
        assert again.test.embedder.embedded == 0
        assert set(again.ended("deleted")) == old
        assert again.state().get("deletions_held") is None
