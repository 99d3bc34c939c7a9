"""A store after a power loss opens without repair, and holds everything that was reported as stored."""

from __future__ import annotations

import logging
import random
import threading
from pathlib import Path

import pytest

from rag_pipeline.ingest.store import chunk_buffer
from rag_pipeline.ingest.store.lance import durable_table
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from tests.ingest.store.power_loss import Disk
from tests.ingest.store.samples import WIDTH, chunks, everything, file, vectors

pytestmark = pytest.mark.slow

State = dict[str, str]  # the content of each file by id


class Writer:
    """Writes, moves, copies and removes files at random; ``states`` are those that a power loss may leave."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.store = LanceVectorStore(folder, "model-a", WIDTH, compact_every=9)
        self.states: list[State] = [{}]
        self._chance = random.Random(seed)
        self._number = 0

    def step(self) -> None:
        now, pick = self.states[-1], self._chance
        self._number += 1
        name, other, content = pick.choice("abcdef"), pick.choice("abcdef"), f"c{self._number}"
        what = pick.choice(["replace", "replace", "replace", "long", "move", "copy", "delete"])
        after = dict(now)
        if what in ("replace", "long"):
            after[name] = content
            self.states.append(after)
            count = 9 if what == "long" else 1
            batches = [(chunks(*[f"text of {content}"] * count), vectors(count))]
            self.store.replace("p", file(name, content), batches)
        elif what in ("move", "copy") and name in now:
            after[other] = now[name]
            if what == "move" and other != name:
                del after[name]
            self.states.append(after)
            call = self.store.move if what == "move" else self.store.copy
            call("p", name, file(other, now[name]))
        elif what == "delete":
            after.pop(name, None)
            self.states.append(after)
            self.store.delete("p", name)
        del self.states[:-1]


def found_in(folder: Path) -> State:
    """Open the store, write to it, and return its files, after checking that their texts are found."""
    store = LanceVectorStore(folder, "model-a", WIDTH)
    found = {name: stored.content_hash for name, stored in store.files("p").items()}
    assert {(hit.file_id, hit.text) for hit in everything(store)} == {(n, f"text of {c}") for n, c in found.items()}
    store.replace("p", file("written after"), [(chunks("text of h"), vectors(1))])
    assert store.files("p").keys() == {*found, "written after"}
    store.close()
    return found


@pytest.mark.parametrize("lost", ["removed", "truncated"])
def test_exactly_the_reported_writes_survive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    monkeypatch.setattr(chunk_buffer, "CHUNKS_AT_ONCE", 4)
    disk, folder = Disk(monkeypatch), tmp_path / "state" / "store"
    folder.parent.mkdir()
    writer = Writer(folder, seed=11)
    images: list[tuple[Path, list[State]]] = []

    def cut() -> None:
        if disk.syncs % 13 == 5 and folder.exists():  # during syncs, at every kind of moment
            images.append((tmp_path / f"image {len(images)}", list(writer.states)))
            disk.image(folder, images[-1][0], lost)

    disk.before_sync = cut
    for turn in range(45):
        writer.step()
        if turn % 5 == 4:  # and between two calls
            images.append((tmp_path / f"image {len(images)}", list(writer.states)))
            disk.image(folder, images[-1][0], lost)
    writer.store.close()
    disk.before_sync = lambda: None
    assert len(images) > 25
    monkeypatch.setattr(durable_table, "boot_id", lambda: "the next boot")
    for image, allowed in images:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert found_in(image) in allowed
        assert len(caplog.messages) <= 1, "one line says what was lost"


def test_the_reported_writes_of_several_threads_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, folder = Disk(monkeypatch), tmp_path / "store"
    store = LanceVectorStore(folder, "model-a", WIDTH, compact_every=9)
    store.replace("p", file("a"), [(chunks("text of h"), vectors(1))])
    reported: set[str] = set()
    images: list[tuple[Path, set[str]]] = []

    def cut() -> None:
        # Not while another thread creates and removes files, which would make the copy fail.
        if disk.syncs % 3 == 1 and store._lock.acquire(blocking=False):
            images.append((tmp_path / f"image {len(images)}", set(reported)))
            disk.image(folder, images[-1][0], "removed")
            store._lock.release()

    def write(thread: int) -> None:
        for number in range(8):
            store.replace("p", file(f"{thread} {number}"), [(chunks("text of h"), vectors(1))])
            reported.add(f"{thread} {number}")

    disk.before_sync = cut
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    disk.before_sync = lambda: None
    store.close()
    assert len(reported) == 32
    assert len(images) > 5
    monkeypatch.setattr(durable_table, "boot_id", lambda: "the next boot")
    for image, names in images:
        assert names <= found_in(image).keys()


def test_after_a_kill_nothing_is_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    store.replace("p", file("a"), [(chunks("one"), vectors(1))])
    monkeypatch.setattr(store._durable, "sync", lambda _: None)  # killed before it
    store.replace("p", file("b"), [(chunks("two"), vectors(1))])
    again = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    assert set(again.files("p")) == {"a", "b"}
    assert caplog.messages == []
    again.close()
    store.close()


def test_nothing_is_dropped_under_a_process_that_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    store.replace("p", file("a"), [(chunks("one"), vectors(1))])
    monkeypatch.setattr(store._durable, "sync", lambda _: None)  # about to write
    store.replace("p", file("b"), [(chunks("two"), vectors(1))])
    monkeypatch.setattr(durable_table, "boot_id", lambda: "of another machine")
    reader = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    assert set(reader.files("p")) == {"a", "b"}
    reader.close()
    store.close()
    reader = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    assert set(reader.files("p")) == {"a"}
    reader.close()


def test_a_damaged_newest_version_is_replaced_by_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    for name in "abc":
        store.replace("p", file(name), [(chunks(name), vectors(1))])
    store.compact()
    store.replace("p", file("d"), [(chunks("d"), vectors(1))])
    store.close()
    manifests = store._durable._versions()
    manifests[max(manifests)].write_bytes(b"\xff" * 500)
    again = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    assert set(again.files("p")) == {"a", "b", "c"}
    assert len(caplog.messages) == 1
    assert "is damaged: fell back to version" in caplog.messages[0]
    again.replace("p", file("d"), [(chunks("d"), vectors(1))])
    again.close()
    last = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    assert set(last.files("p")) == set("abcd")
    assert len(everything(last)) == 4
    last.close()
