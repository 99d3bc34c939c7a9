"""The vector store: what replace, delete, files and search promise, also after crashes and with damage."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store import rows
from rag_pipeline.ingest.store.lance import LanceVectorStore
from rag_pipeline.ingest.types import Chunk, SearchHit, SourceFile

ROOT = Path(__file__).parents[3]
WIDTH = 8


def file(file_id: str, content_hash: str = "h") -> SourceFile:
    return SourceFile(file_id, file_id.rpartition("/")[2], f"file:///{file_id}", content_hash, 3, "text/plain", 1.5)


def chunks(*texts: str) -> list[Chunk]:
    return [Chunk(text, f"page {i + 1}", i) for i, text in enumerate(texts)]


def vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    unit: NDArray[np.float32] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


ANY = vectors(1, 99)[0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LanceVectorStore]:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    yield store
    store.close()


def everything(store: LanceVectorStore) -> list[SearchHit]:
    return store.search("", ANY, limit=1000)


def test_an_empty_store_answers_and_writes_nothing(tmp_path: Path, store: LanceVectorStore) -> None:
    assert store.search("anything", ANY) == []
    assert store.files("p") == {}
    store.delete("p", "none")
    assert list(tmp_path.iterdir()) == []


def test_replace_leaves_the_new_chunks_alone(store: LanceVectorStore) -> None:
    store.replace("p", file("a.txt", "1"), chunks("old one", "old two", "old three"), vectors(3))
    store.replace("p", file("b.txt"), chunks("other"), vectors(1))
    store.replace("p", file("a.txt", "2"), chunks("new one"), vectors(1))
    assert sorted(hit.text for hit in everything(store)) == ["new one", "other"]
    assert store.files("p") == {"a.txt": file("a.txt", "2"), "b.txt": file("b.txt")}


def test_a_file_without_chunks_is_known(store: LanceVectorStore) -> None:
    store.replace("p", file("empty.txt"), [], vectors(0))
    assert list(store.files("p")) == ["empty.txt"]
    assert everything(store) == []


def test_delete_removes_one_file_of_one_pipeline(store: LanceVectorStore) -> None:
    for pipeline in ("p", "q"):
        store.replace(pipeline, file("a.txt"), chunks("text"), vectors(1))
    store.delete("p", "a.txt")
    store.delete("p", "a.txt")
    assert store.files("p") == {}
    assert list(store.files("q")) == ["a.txt"]
    assert len(everything(store)) == 1


@pytest.mark.parametrize("name", ["it's", "a\"b';--", "caf\udce9.txt", "\ufdd0dce9", "日本", "x" * 4000, "%_\\"])
def test_any_name_comes_back_as_it_was(store: LanceVectorStore, name: str) -> None:
    store.replace("p", file("other"), chunks("other"), vectors(1))
    store.replace("p", file(name, "1"), chunks("first"), vectors(1))
    store.replace("p", file(name, "2"), chunks("second"), vectors(1))
    assert store.files("p")[name] == file(name, "2")
    assert sorted(hit.text for hit in everything(store)) == ["other", "second"]
    store.delete("p", name)
    assert list(store.files("p")) == ["other"]


def test_what_was_stored_is_there_after_opening_again(tmp_path: Path, store: LanceVectorStore) -> None:
    store.replace("p", file("a.txt"), chunks("kept text"), vectors(1))
    store.close()
    again = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    hit = again.search("kept", vectors(1)[0])[0]
    assert (hit.text, hit.file_id, hit.name, hit.uri, hit.place) == (
        "kept text", "a.txt", "a.txt", "file:///a.txt", "page 1"
    )  # fmt: skip
    assert hit.score == pytest.approx(1), "first by words and by meaning"
    again.close()


def test_words_and_meaning_both_count(store: LanceVectorStore) -> None:
    made = vectors(30, 5)
    store.replace("p", file("a"), chunks(*(f"filler number {i}" for i in range(29)), "a rare zebrafish"), made)
    assert store.search("zebrafish", made[3], limit=2)[0].text in ("a rare zebrafish", "filler number 3")
    assert {hit.text for hit in store.search("zebrafish", made[3], limit=2)} >= {"a rare zebrafish"}
    assert store.search("unknownword", made[3], limit=1)[0].text == "filler number 3"
    scores = [hit.score for hit in store.search("number zebrafish", made[3], limit=30)]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


def test_words_are_found_before_and_after_compaction_and_updates(store: LanceVectorStore) -> None:
    store.replace("p", file("a"), chunks("alpha beta"), vectors(1))
    store.replace("p", file("b"), chunks("東京は日本の首都です"), vectors(1, 3))
    for _ in range(2):
        assert store.search("東京", ANY, limit=1)[0].file_id == "b"
        assert store.search("beta", ANY, limit=1)[0].file_id == "a"
        store.compact()
    store.replace("p", file("a"), chunks("gamma"), vectors(1))
    hit = store.search("beta gamma", ANY, limit=1)[0]
    assert hit.text == "gamma"


ODD = [
    "",
    "   ",
    "the of and",
    '"quoted',
    "a:b AND (OR NOT",
    "+-*~^[]{}",
    "🎉",
    "\0",
    "caf\udce9",
    "x " * 5000,
    "'; --",
]


@pytest.mark.parametrize("question", ODD)
def test_odd_questions_are_answered(store: LanceVectorStore, question: str) -> None:
    store.replace("p", file("a"), chunks("one text", "the other"), vectors(2))
    assert len(store.search(question, ANY)) == 2


def test_the_same_question_has_the_same_answer(store: LanceVectorStore) -> None:
    same = np.repeat(vectors(1), 20, axis=0)
    store.replace("p", file("b"), chunks(*["equal text"] * 20), same)
    store.replace("p", file("a"), chunks(*["equal text"] * 20), same)
    first = store.search("equal", same[0], limit=7)
    store.compact()
    assert store.search("equal", same[0], limit=7) == first


def test_wrong_vectors_are_the_callers_mistake(store: LanceVectorStore) -> None:
    with pytest.raises(ValueError, match="expected 2"):
        store.replace("p", file("a"), chunks("a", "b"), vectors(1))
    with pytest.raises(ValueError, match="finite"):
        store.replace("p", file("a"), chunks("a"), np.full((1, WIDTH), np.nan, np.float32))


@pytest.mark.parametrize(("model", "width"), [("model-b", WIDTH), ("model-a", WIDTH * 2)])
def test_another_models_store_is_refused(tmp_path: Path, store: LanceVectorStore, model: str, width: int) -> None:
    store.replace("p", file("a"), chunks("a"), vectors(1))
    with pytest.raises(StoreError, match=r"holds vectors of model-a .* remove the folder"):
        LanceVectorStore(tmp_path / "store", model, width)


def test_closed_is_said(store: LanceVectorStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.search("a", ANY)


def test_what_a_crash_between_the_two_commits_leaves_is_never_seen(tmp_path: Path, store: LanceVectorStore) -> None:
    store.replace("p", file("a", "1"), chunks("old one", "old two"), vectors(2))
    # The state a crash leaves: the new rows are in, the old ones not yet out.
    table = store._table
    new = rows.build(table.schema, "p", file("a", "2"), 1 << 62, chunks("new one"), vectors(1))
    table.add(new)
    reader = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    for seen in (store, reader):
        assert [hit.text for hit in everything(seen)] == ["new one"]
        assert [hit.text for hit in seen.search("old", ANY)] == ["new one"]
        assert seen.files("p")["a"].content_hash == "2"
    assert table.count_rows() == 5
    writer = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    writer.replace("p", file("b"), [], vectors(0))
    assert table.count_rows() == 3, "the next writer removes it"


WRITER = """
import sys
sys.path.insert(0, {root!r})
from tests.ingest.store.test_lance import chunks, file, vectors, LanceVectorStore, WIDTH
store = LanceVectorStore({path!r}, "model-a", WIDTH, compact_every=7)
n = int(sys.argv[1])
while True:
    n += 1
    count = n % 4
    texts = [f"generation {{n}} part {{i}}" for i in range(count)]
    store.replace("p", file("a", str(n)), chunks(*texts), vectors(count))
    print(n, flush=True)
"""


def test_a_killed_writer_leaves_the_old_chunks_or_the_new_ones_once(tmp_path: Path) -> None:
    path = tmp_path / "store"
    written = 0
    pick = random.Random(4)
    for _ in range(4):
        code = WRITER.format(root=str(ROOT), path=str(path))
        with subprocess.Popen(
            [sys.executable, "-c", code, str(written)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            for _ in range(pick.randint(3, 12)):
                written = int(process.stdout.readline())
            threading.Event().wait(pick.random() * 0.05)  # anywhere within the next writes
            process.send_signal(signal.SIGKILL)
            written = max([written, *map(int, process.stdout.read().split())])
        store = LanceVectorStore(path, "model-a", WIDTH)
        found = int(store.files("p")["a"].content_hash)
        assert found in (written, written + 1)
        assert sorted(hit.text for hit in everything(store)) == [
            f"generation {found} part {i}" for i in range(found % 4)
        ]
        store.close()
        written = found


def test_threads_replace_and_search_at_once(store: LanceVectorStore) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(15):
                store.replace(
                    "p", file(f"f{number}", str(turn)), chunks(f"turn{turn} text", "more"), vectors(2, number)
                )
                texts = [
                    h.text for h in store.search("text", vectors(1, number)[0], limit=50) if h.file_id == f"f{number}"
                ]
                assert sorted(texts) == ["more", f"turn{turn} text"]
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert {f.content_hash for f in store.files("p").values()} == {"14"}


def test_a_reader_sees_what_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "store"
    reader = LanceVectorStore(path, "model-a", WIDTH)
    code = WRITER.format(root=str(ROOT), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code, "0"], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        last = 0
        for _ in range(20):
            texts = [hit.text for hit in everything(reader)]
            generations = {int(text.split()[1]) for text in texts}
            assert len(generations) <= 1
            for found in generations:
                assert found >= last
                assert len(texts) == found % 4
                last = found
            process.stdout.readline()
        process.kill()


def test_disk_is_bounded_over_many_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from rag_pipeline.ingest.store import lance

    monkeypatch.setattr(lance, "KEEP_VERSIONS", timedelta(0))
    path = tmp_path / "store"
    store = LanceVectorStore(path, "model-a", WIDTH, compact_every=20)
    sizes = []
    for turn in range(121):
        store.replace("p", file(f"f{turn % 5}"), chunks("some text " * 50), vectors(1))
        if turn % 20 == 19:
            sizes.append(sum(1 for entry in path.rglob("*") if entry.is_file()))
    assert sizes[-1] <= sizes[1] + 5


@pytest.mark.parametrize("damage", ["truncate", "garbage", "remove"])
def test_a_damaged_folder_is_one_line(tmp_path: Path, store: LanceVectorStore, damage: str) -> None:
    store.replace("p", file("a"), chunks("text"), vectors(1))
    store.close()
    for entry in (tmp_path / "store").rglob("*.manifest"):
        if damage == "truncate":
            os.truncate(entry, 3)
        elif damage == "garbage":
            entry.write_bytes(b"\xff" * 500)
        else:
            entry.unlink()
    with pytest.raises(StoreError) as caught:
        LanceVectorStore(tmp_path / "store", "model-a", WIDTH).files("p")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "store") in str(caught.value)


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(StoreError, match="must be a folder"):
        LanceVectorStore(tmp_path / "store", "model-a", WIDTH)


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, store: LanceVectorStore) -> None:
    store.replace("p", file("a", "1"), chunks("kept"), vectors(1))
    # A process that may write no file over 4 KB stands for a full disk: its write fails in the middle.
    code = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.ingest.store.test_lance import *
store = LanceVectorStore({str(tmp_path / "store")!r}, "model-a", WIDTH)
store.files("p")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.replace("p", file("a", "2"), chunks(*["new " * 2000] * 50), vectors(50))
except StoreError as error:
    print(error)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert answer.stdout.count("\n") == 1, answer.stderr
    assert "storing 'a' failed" in answer.stdout
    assert store.files("p")["a"].content_hash == "1"
    assert [hit.text for hit in everything(store)] == ["kept"]
