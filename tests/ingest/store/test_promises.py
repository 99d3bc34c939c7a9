"""The promises of every store for replace, delete, files and search, also after crashes."""

from __future__ import annotations

import random
import signal
import threading
from dataclasses import replace as with_fields

import numpy as np
import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.types import Chunk, SearchFilter, SearchFloor, SourceFile, VectorStore
from tests.ingest.store.samples import ANY, WIDTH, chunks, everything, file, vectors
from tests.ingest.store.store_locations import StoreLocation, generation

pytestmark = pytest.mark.slow


def test_an_empty_store_can_be_read(store: VectorStore) -> None:
    assert store.search("anything", ANY) == []
    assert store.files("p") == {}
    store.delete("p", "none")


def test_replace_leaves_only_the_new_chunks(store: VectorStore) -> None:
    store.replace("p", file("a.txt", "1"), [(chunks("old one", "old two", "old three"), vectors(3))])
    store.replace("p", file("b.txt"), [(chunks("other"), vectors(1))])
    store.replace("p", file("a.txt", "2"), [(chunks("new one"), vectors(1))])
    assert sorted(hit.text for hit in everything(store)) == ["new one", "other"]
    assert store.files("p") == {"a.txt": file("a.txt", "2"), "b.txt": file("b.txt")}


def test_all_fields_of_a_file_are_read_back(store: VectorStore) -> None:
    before = with_fields(file("a"), mime_type=None, size=1 << 40, modified_at=1700000000.123456)
    store.replace("p", before, [(chunks("text"), vectors(1))])
    assert store.files("p") == {"a": before}
    after = with_fields(before, name="new name", uri="https://x/y", mime_type="text/html", size=0, modified_at=-1.0)
    store.replace("p", after, [(chunks("text"), vectors(1))])
    assert store.files("p") == {"a": after}
    [hit] = everything(store)
    assert (hit.name, hit.uri) == ("new name", "https://x/y")


def test_a_file_without_chunks_is_listed(store: VectorStore) -> None:
    store.replace("p", file("empty.txt"), [([], vectors(0))])
    assert list(store.files("p")) == ["empty.txt"]
    assert everything(store) == []


def test_delete_removes_one_file_of_one_pipeline(store: VectorStore) -> None:
    for pipeline in ("p", "q"):
        store.replace(pipeline, file("a.txt"), [(chunks("text"), vectors(1))])
    store.delete("p", "a.txt")
    store.delete("p", "a.txt")
    assert store.files("p") == {}
    assert list(store.files("q")) == ["a.txt"]
    assert len(everything(store)) == 1


NAMES = ["it's", "a\"b';--", "caf\udce9.txt", "\ufdd0dce9", "日本", "x" * 4000, "%_\\", "nul\0nul"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_read_back_unchanged(store: VectorStore, name: str) -> None:
    store.replace(name, file("other"), [(chunks("other"), vectors(1))])
    store.replace(name, file(name, "1"), [(chunks("first"), vectors(1))])
    store.replace(name, file(name, "2"), [(chunks("second"), vectors(1))])
    assert store.files(name)[name] == file(name, "2")
    assert sorted(hit.text for hit in everything(store)) == ["other", "second"]
    assert {hit.file_id for hit in everything(store)} == {"other", name}
    store.delete(name, name)
    assert list(store.files(name)) == ["other"]


def test_concatenated_ids_do_not_collide(store: VectorStore) -> None:
    store.replace("a", file("bc"), [(chunks("one"), vectors(1))])
    store.replace("ab", file("c"), [(chunks("two"), vectors(1))])
    assert len(everything(store)) == 2


def test_stored_files_are_there_after_reopening(location: StoreLocation, store: VectorStore) -> None:
    store.replace("p", file("a.txt"), [(chunks("kept text"), vectors(1))])
    store.close()
    again = location.open()
    hit = again.search("kept", vectors(1)[0])[0]
    assert (hit.text, hit.file_id, hit.name, hit.uri, hit.place) == (
        "kept text", "a.txt", "a.txt", "file:///a.txt", "page 1"
    )  # fmt: skip
    assert hit.score == pytest.approx(1), "first by words and by meaning"
    again.close()


def test_words_and_vectors_both_count(store: VectorStore) -> None:
    made = vectors(30, 5)
    made[29] += made[3]
    made[29] /= np.linalg.norm(made[29])
    store.replace("p", file("a"), [(chunks(*(f"filler number {i}" for i in range(29)), "a rare zebrafish"), made)])
    assert store.search("zebrafish", made[3], limit=2)[0].text in ("a rare zebrafish", "filler number 3")
    assert {hit.text for hit in store.search("zebrafish", made[3], limit=2)} >= {"a rare zebrafish"}
    assert store.search("unknownword", made[3], limit=1)[0].text == "filler number 3"
    scores = [hit.score for hit in store.search("number zebrafish", made[3], limit=30)]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


def test_a_rare_word_counts_more_than_a_common_one(store: VectorStore) -> None:
    texts = [
        *(f"number {i} in a long row of other things" for i in range(40)),
        "the zebrafish",
        *("number" for _ in range(40)),
    ]
    store.replace("p", file("a"), [(chunks(*texts), np.repeat(vectors(1), len(texts), axis=0))])
    assert store.search("number zebrafish", ANY, limit=1)[0].text == "the zebrafish"


QUESTIONS = [
    ("herons", "The heron stands in the reeds"),
    ("STANDING", "The heron stands in the reeds"),
    ("cafe", "Ein Café in Wien"),
    ("東京", "東京は日本の首都です"),
    ("首都", "東京は日本の首都です"),
    ("backup", "see docs/backup, or mail them"),
    ("don't panic", "Don’t panic"),
]


@pytest.mark.parametrize(("question", "text"), QUESTIONS)
def test_words_are_found_in_any_grammatical_form(store: VectorStore, question: str, text: str) -> None:
    texts = sorted({text for _, text in QUESTIONS})
    store.replace("p", file("a"), [(chunks(*texts), np.repeat(vectors(1), len(texts), axis=0))])
    # All vectors are equal, so the words decide.
    assert store.search(question, ANY, limit=1)[0].text == text


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
def test_unusual_questions_are_answered(store: VectorStore, question: str) -> None:
    store.replace("p", file("a"), [(chunks("one text", "the other"), vectors(2))])
    assert len(store.search(question, ANY)) == 2


def test_a_limit_of_zero_returns_nothing(store: VectorStore) -> None:
    store.replace("p", file("a"), [(chunks("text"), vectors(1))])
    assert store.search("text", ANY, limit=0) == []


def test_the_same_question_has_the_same_answer(location: StoreLocation, store: VectorStore) -> None:
    same = np.repeat(vectors(1), 20, axis=0)
    store.replace("p", file("b"), [(chunks(*["equal text"] * 20), same)])
    store.replace("p", file("a"), [(chunks(*["equal text"] * 20), same)])
    first = store.search("equal", same[0], limit=7)
    assert [(hit.file_id, hit.place) for hit in first] == [("a", f"page {n}") for n in range(1, 8)]
    again = location.open()
    assert again.search("equal", same[0], limit=7) == first
    again.close()


def test_invalid_vectors_raise_value_error(store: VectorStore) -> None:
    with pytest.raises(ValueError, match="expected 2"):
        store.replace("p", file("a"), [(chunks("a", "b"), vectors(1))])
    with pytest.raises(ValueError, match="finite"):
        store.replace("p", file("a"), [(chunks("a"), np.full((1, WIDTH), np.nan, np.float32))])
    assert store.files("p") == {}


@pytest.mark.parametrize(("model", "width"), [("model-b", WIDTH), ("model-a", WIDTH * 2)])
def test_the_store_of_another_model_is_rejected(
    location: StoreLocation, store: VectorStore, model: str, width: int
) -> None:
    store.replace("p", file("a"), [(chunks("a"), vectors(1))])
    with pytest.raises(StoreError, match=r"holds vectors of model-a \(8 dimensions\), not of .* remove "):
        location.open(model, width)


def test_using_a_closed_store_is_an_error(store: VectorStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.search("a", ANY)


def test_after_a_kill_the_old_chunks_or_the_new_ones_are_stored_once(location: StoreLocation) -> None:
    written = 0
    pick = random.Random(4)
    for _ in range(4):
        with location.write(written) as process:
            assert process.stdout is not None
            for _ in range(pick.randint(3, 12)):
                written = int(process.stdout.readline())
            threading.Event().wait(pick.random() * 0.05)  # at any point of the next writes
            process.send_signal(signal.SIGKILL)
            written = max([written, *map(int, process.stdout.read().split())])
        store = location.open()
        found = int(store.files("p")["a"].content_hash)
        assert found in (written, written + 1)
        assert sorted(hit.text for hit in everything(store)) == generation(found)
        store.close()
        written = found


def test_threads_replace_and_search_concurrently(store: VectorStore) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            name = f"f{number}"
            for turn in range(15):
                store.replace("p", file(name, str(turn)), [(chunks(f"turn{turn} text", "more"), vectors(2, number))])
                hits = store.search("text", vectors(1, number)[0], limit=50)
                assert sorted(h.text for h in hits if h.file_id == name) == ["more", f"turn{turn} text"]
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert {f.content_hash for f in store.files("p").values()} == {"14"}


def test_a_reader_sees_what_another_process_writes(location: StoreLocation) -> None:
    reader = location.open()
    with location.write(0) as process:
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
    reader.close()


NEAR = [
    ("it policy", "The IT policy of the company"),
    ("WHO", "Guidelines of the WHO"),
    ("getUserName", "Call getUserName() before"),
    ("user name", "Call getUserName() before"),
    ("1042", "It failed with ERR_1042"),
    ("v2.3.1", "Since v2.3.1 all is well"),
    ("c++", "Written in C++"),
    ("수도", "서울은 대한민국의 수도이다"),
    ("เมืองหลวง", "กรุงเทพเป็นเมืองหลวงของประเทศไทย"),
    ("Überweisung", "Die Uberweisung ist da"),
]


@pytest.mark.parametrize(("question", "text"), NEAR)
def test_words_of_every_kind_are_found(store: VectorStore, question: str, text: str) -> None:
    texts = sorted({text for _, text in NEAR} | {"who is it that calls", "it is what it is"})
    store.replace("p", file("a"), [(chunks(*texts), np.repeat(vectors(1), len(texts), axis=0))])
    best = max(store.search(question, ANY, limit=20), key=lambda hit: hit.words)
    assert best.text == text
    assert best.words > 0


def test_title_and_headings_are_searched_and_not_shown(store: VectorStore) -> None:
    stored = [Chunk("thirty days", "Leave", 0, title="Zebrafish handbook", headings="Leave"), Chunk("other", "", 1)]
    store.replace("p", file("a"), [(stored, vectors(2))])
    for question in ("zebrafish", "leave"):
        [hit] = [hit for hit in store.search(question, ANY) if hit.words > 0]
        assert hit.text == "thirty days"


def test_a_file_is_found_by_its_current_name(store: VectorStore) -> None:
    store.replace("p", file("old-zebrafish.txt"), [(chunks("one", "two"), vectors(2))])
    store.replace("p", file("b"), [(chunks("three"), vectors(1))])

    def named(question: str) -> set[str]:
        return {hit.file_id for hit in store.search(question, ANY) if hit.words > 0}

    assert named("zebrafish") == {"old-zebrafish.txt"}
    store.rename("p", "old-zebrafish.txt", "giraffe.txt", "file:///giraffe.txt")
    assert (named("zebrafish"), named("giraffe")) == (set(), {"old-zebrafish.txt"})
    store.move("p", "old-zebrafish.txt", file("hippo.txt"))
    assert (named("giraffe"), named("hippo")) == (set(), {"hippo.txt"})
    store.copy("p", "hippo.txt", file("antelope.txt"))
    assert (named("hippo"), named("antelope")) == ({"hippo.txt"}, {"antelope.txt"})


def test_every_result_has_both_raw_scores(store: VectorStore) -> None:
    made = vectors(80, 7)
    texts = [f"number {n}" for n in range(79)]
    store.replace("p", file("a"), [(chunks(*texts, "a zebrafish"), made)])
    hits = store.search("zebrafish number", made[3], limit=80)
    assert len(hits) == 80
    for hit in hits:
        at = int(hit.place.removeprefix("page ")) - 1
        assert hit.vector == pytest.approx(float(made[at] @ made[3]), abs=1e-5)
        assert hit.words > 0
        assert (hit.pipeline_id, hit.mime_type) == ("p", "text/plain")


def test_results_below_both_floors_are_left_out(store: VectorStore) -> None:
    made = np.eye(WIDTH, dtype=np.float32)
    store.replace("p", file("a"), [(chunks("zebrafish", "near", "far"), made[:3])])
    found = store.search("zebrafish", made[1], floor=SearchFloor(0.1, 0.5))
    assert {hit.text for hit in found} == {"zebrafish", "near"}
    assert store.search("unknown", made[7], floor=SearchFloor(0.1, 0.5)) == []


def test_a_zero_vector_is_near_to_nothing(store: VectorStore) -> None:
    store.replace("p", file("a"), [(chunks("zebrafish"), vectors(1))])
    store.replace("p", file("b"), [(chunks("otter"), vectors(1))])
    floor = SearchFloor(0.0, 0.25)
    [hit] = store.search("zebrafish", np.zeros(WIDTH, np.float32), floor=floor)
    assert (hit.file_id, hit.vector) == ("a", 0.0)
    assert store.search("heron", np.zeros(WIDTH, np.float32), floor=floor) == []


FILTERS = [
    (SearchFilter(), "abcd"),
    (SearchFilter(pipelines=frozenset()), ""),
    (SearchFilter(pipelines=frozenset({"q"})), "d"),
    (SearchFilter(pipelines=frozenset({"q", "none"})), "d"),
    (SearchFilter(path="docs"), "ab"),
    (SearchFilter(path="docs/*"), "ab"),
    (SearchFilter(path="*.PDF"), "b"),
    (SearchFilter(path="c_d%.txt"), "c"),
    (SearchFilter(path="c?d?.txt"), "c"),
    (SearchFilter(path="b*"), "b"),
    (SearchFilter(path="a.txt"), "a"),
    (SearchFilter(type="pdf"), "b"),
    (SearchFilter(type="text/*"), "acd"),
    (SearchFilter(type="text/*", path="docs", pipelines=frozenset({"p"})), "a"),
    (SearchFilter(path="none"), ""),
]


@pytest.mark.parametrize(("only", "found"), FILTERS)
def test_a_filter_restricts_the_files(store: VectorStore, only: SearchFilter, found: str) -> None:
    pdf = SourceFile("docs/b.PDF", "b.PDF", "", "h", 1, "application/pdf", 0.0)
    files = [("p", file("docs/a.txt")), ("p", pdf), ("p", file("c_d%.txt")), ("q", file("d"))]
    for (pipeline_id, stored), text in zip(files, "abcd", strict=True):
        store.replace(pipeline_id, stored, [(chunks(f"zebrafish {text}x"), vectors(1))])
    for question in ("zebrafish", "txt docs", ""):
        assert sorted(hit.text[-2] for hit in store.search(question, ANY, only=only)) == list(found)


def test_a_copy_outside_of_the_filter_does_not_hide_the_other(store: VectorStore) -> None:
    store.replace("p", file("in/a"), [(chunks("zebrafish"), vectors(1))])
    assert store.copy("p", "in/a", file("out/a")) == 1
    for folder in ("in", "out"):
        assert [hit.file_id for hit in store.search("zebrafish", ANY, only=SearchFilter(path=folder))] == [
            f"{folder}/a"
        ]
