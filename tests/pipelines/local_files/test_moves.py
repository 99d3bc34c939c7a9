"""Files that move, or are there twice: their text is embedded once, and found at every moment."""

from __future__ import annotations

import threading
from pathlib import Path

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


def test_files_that_are_deleted_while_another_of_that_size_comes_are_deleted(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
        run.write("b.txt", "two")
        (run.folder / "a.txt").unlink()
        run.wait(lambda: run.store.texts() == {"b.txt": ["two"]})
        run.wait(lambda: run.ended("deleted") == ["a.txt"])
