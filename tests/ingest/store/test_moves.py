"""Moves, copies and removals of many files, tested with each store."""

from __future__ import annotations

import threading
from dataclasses import replace as with_fields

import pytest

from rag_pipeline.ingest.store.moves import check_moves, copies_by_id, overwritten_sources
from rag_pipeline.ingest.types import VectorStore
from tests.ingest.store.samples import ANY, chunks, everything, file, vectors
from tests.ingest.store.store_locations import StoreLocation

pytestmark = pytest.mark.slow


def texts(store: VectorStore) -> dict[str, list[str]]:
    """Return the texts that a search finds, by file."""
    found: dict[str, list[str]] = {}
    for hit in everything(store):
        found.setdefault(hit.file_id, []).append(hit.text)
    return {file_id: sorted(hits) for file_id, hits in found.items()}


@pytest.fixture
def two(store: VectorStore) -> VectorStore:
    """A file with two chunks, and a file with one."""
    store.replace("p", file("a"), [(chunks("alpha one", "alpha two"), vectors(2))])
    store.replace("p", file("b"), [(chunks("beta"), vectors(1, 1))])
    return store


def test_a_moved_file_keeps_its_chunks_and_vectors(two: VectorStore) -> None:
    before = two.search("", vectors(2)[1], limit=1)[0]
    after = with_fields(
        file("sub/c", "2"), name="caf\udce9", uri="https://x/y", size=9, mime_type=None, modified_at=7.5
    )
    assert two.move("p", "a", after)
    assert two.files("p") == {"b": file("b"), "sub/c": after}
    assert texts(two) == {"b": ["beta"], "sub/c": ["alpha one", "alpha two"]}
    [hit] = two.search("", vectors(2)[1], limit=1)
    assert (hit.text, hit.place) == (before.text, before.place)
    assert (hit.file_id, hit.name, hit.uri) == ("sub/c", "caf\udce9", "https://x/y")


def test_a_moved_file_behaves_like_any_other(location: StoreLocation, two: VectorStore) -> None:
    two.move("p", "a", file("c"))
    two.move("p", "c", file("d", "2"))
    two.replace("p", file("a", "new"), [(chunks("another"), vectors(1))])
    assert texts(two) == {"a": ["another"], "b": ["beta"], "d": ["alpha one", "alpha two"]}
    two.rename("p", "d", "other name", "other uri")
    assert two.files("p")["d"] == with_fields(file("d", "2"), name="other name", uri="other uri")
    two.replace("p", file("d", "3"), [(chunks("newer"), vectors(1))])
    two.close()
    again = location.open()
    assert texts(again) == {"a": ["another"], "b": ["beta"], "d": ["newer"]}
    again.delete("p", "d")
    again.delete("p", "a")
    assert texts(again) == {"b": ["beta"]}
    again.close()


def test_a_file_moves_over_another_one(two: VectorStore) -> None:
    assert two.move("p", "a", file("b", "2"))
    assert two.files("p") == {"b": file("b", "2")}
    assert texts(two) == {"b": ["alpha one", "alpha two"]}


def test_a_file_moves_to_its_own_id(two: VectorStore) -> None:
    assert two.move("p", "a", file("a", "2"))
    assert two.files("p")["a"] == file("a", "2")
    assert texts(two) == {"a": ["alpha one", "alpha two"], "b": ["beta"]}


def test_a_file_that_is_not_stored_is_neither_moved_nor_copied(store: VectorStore) -> None:
    assert store.move("p", "a", file("b")) is False
    assert store.copy("p", "a", file("b")) is None
    store.delete_many("p", ["a", "b"])
    store.replace("p", file("b"), [(chunks("beta"), vectors(1))])
    assert store.move("p", "a", file("b", "2")) is False
    assert store.move("q", "b", file("c")) is False
    assert store.copy("q", "b", file("c")) is None
    assert store.move_many("p", {}) == {}
    assert store.copy_many("p", []) == {}
    store.delete_many("p", [])
    assert store.files("p") == {"b": file("b")}
    assert texts(store) == {"b": ["beta"]}


@pytest.mark.parametrize("copies", [False, True], ids=["of their own", "of one content"])
def test_files_that_swap_ids_move_in_one_call(store: VectorStore, copies: bool) -> None:
    for number, name in enumerate("abcd"):
        store.replace("p", file(name, name), [(chunks(f"text of {name}"), vectors(1, number))])
    if copies:
        for name in "bcd":
            store.copy("p", "a", file(name, name))
    before = texts(store)
    moves = {"a": file("b", "a"), "b": file("a", "b"), "c": file("d", "c"), "d": file("e", "d"), "none": file("f")}
    assert store.move_many("p", moves) == dict.fromkeys("abcd", 1)
    assert {name: stored.content_hash for name, stored in store.files("p").items()} == {
        "b": "a", "a": "b", "d": "c", "e": "d"
    }  # fmt: skip
    assert texts(store) == {"b": before["a"], "a": before["b"], "d": before["c"], "e": before["d"]}


def test_two_files_can_not_move_to_the_same_id(two: VectorStore) -> None:
    with pytest.raises(ValueError, match="the same id"):
        two.move_many("p", {"a": file("c"), "b": file("c")})
    assert set(two.files("p")) == {"a", "b"}


def test_a_folder_of_many_files_moves(store: VectorStore) -> None:
    for number in range(30):
        store.replace("p", file(f"old/{number}"), [(chunks(f"text {number}"), vectors(1, number))])
    moves = {f"old/{number}": file(f"new/{number}") for number in range(30)}
    assert store.move_many("p", moves) == dict.fromkeys(moves, 1)
    assert texts(store) == {f"new/{number}": [f"text {number}"] for number in range(30)}
    assert set(store.files("p")) == {f"new/{number}" for number in range(30)}


def test_a_search_finds_a_file_exactly_once_during_its_moves(location: StoreLocation, two: VectorStore) -> None:
    reader = location.open()
    ended = threading.Event()
    seen: set[str] = set()

    def move() -> None:
        for number in range(1_000):
            two.move("p", f"a{number - 1}" if number else "a", file(f"a{number}"))
            if number >= 25 and len(seen) > 1:
                break
        ended.set()

    thread = threading.Thread(target=move)
    thread.start()
    while not ended.is_set():
        for asked in (reader, two):
            hits = [hit for hit in asked.search("alpha", ANY, limit=20) if hit.text.startswith("alpha")]
            assert sorted(hit.text for hit in hits) == ["alpha one", "alpha two"]
            assert len({hit.file_id for hit in hits}) == 1
            seen.add(hits[0].file_id)
    thread.join(60)
    assert len(seen) > 1
    reader.close()


def test_a_copy_has_the_chunks_and_vectors_of_the_other_file(two: VectorStore) -> None:
    assert two.copy("p", "a", file("c", "2")) == 2
    assert two.files("p") == {"a": file("a"), "b": file("b"), "c": file("c", "2")}
    assert texts(two) == {"a": ["alpha one", "alpha two"], "b": ["beta"], "c": ["alpha one", "alpha two"]}
    first, second = two.search("two", vectors(2)[1], limit=2)
    assert (first.text, first.file_id) == ("alpha two", "a")
    assert (second.text, second.file_id) == ("alpha two", "c")


def test_a_file_is_found_by_its_id(two: VectorStore) -> None:
    assert two.file("p", "a") == file("a")
    assert two.file("p", "none") is two.file("q", "a") is None
    two.move("p", "a", file("c", "2"))
    assert (two.file("p", "a"), two.file("p", "c")) == (None, file("c", "2"))


def test_a_copy_outlives_its_source(location: StoreLocation, two: VectorStore) -> None:
    two.copy_many("p", [("a", file("c")), ("a", file("d")), ("none", file("e"))])
    two.replace("p", file("a", "2"), [(chunks("changed"), vectors(1))])
    assert texts(two) == {"a": ["changed"], "b": ["beta"], **{name: ["alpha one", "alpha two"] for name in "cd"}}
    two.delete("p", "c")
    two.close()
    again = location.open()
    again.delete("p", "b")
    assert texts(again) == {"a": ["changed"], "d": ["alpha one", "alpha two"]}
    again.delete_many("p", ["d", "a"])
    assert texts(again) == {}
    again.close()


def test_a_copy_replaces_an_existing_file(two: VectorStore) -> None:
    assert two.copy("p", "a", file("b", "2")) == 2
    assert texts(two) == {name: ["alpha one", "alpha two"] for name in "ab"}
    assert two.copy("p", "a", file("a", "3")) == 2
    assert two.files("p")["a"] == file("a", "3")
    assert texts(two) == {name: ["alpha one", "alpha two"] for name in "ab"}


def test_a_file_without_chunks_is_copied(store: VectorStore) -> None:
    store.replace("p", file("a"), [([], vectors(0))])
    assert store.copy("p", "a", file("b")) == 0
    assert set(store.files("p")) == {"a", "b"}


def test_files_can_swap_their_content(store: VectorStore) -> None:
    for name in "abcd":
        store.replace("p", file(name), [(chunks(f"of {name} one", f"of {name} two"), vectors(2))])
    swapped = {"a": "b", "b": "a", "c": "d", "d": "c", "e": "a"}
    counts = store.copy_many("p", [(source, file(name, "2")) for name, source in swapped.items()])
    assert counts == dict.fromkeys("abcde", 2)
    assert texts(store) == {name: [f"of {source} one", f"of {source} two"] for name, source in swapped.items()}
    assert set(store.files("p")) == set("abcde")


def test_a_file_can_be_copied_and_overwritten_in_one_call(two: VectorStore) -> None:
    store = two
    before = texts(store)
    store.replace("p", file("b"), [(chunks("beta"), vectors(1))])
    assert store.copy_many("p", [("a", file("b", "2")), ("b", file("c"))]) == {"b": 2, "c": 1}
    assert texts(store) == {"a": before["a"], "b": before["a"], "c": ["beta"]}


def test_many_files_are_removed(store: VectorStore) -> None:
    for number in range(30):
        store.replace("p", file(f"{number}"), [(chunks(f"text {number}"), vectors(1, number))])
    store.replace("q", file("3"), [(chunks("of another pipeline"), vectors(1))])
    store.delete_many("p", [*(f"{number}" for number in range(28)), "none"])
    assert set(store.files("p")) == {"28", "29"}
    assert texts(store) == {"28": ["text 28"], "29": ["text 29"], "3": ["of another pipeline"]}


def test_moves_to_the_same_id_are_rejected() -> None:
    with pytest.raises(ValueError):
        check_moves({"a": file("a"), "b": file("a")})
    check_moves({"a": file("a")})
    assert copies_by_id([("a", file("a"))]) == {"a": ("a", file("a"))}


def test_source_files_that_a_copy_overwrites_are_found() -> None:
    assert overwritten_sources(copies_by_id([("x", file("a")), ("a", file("y"))])) == ["a"]
    assert overwritten_sources(copies_by_id([("a", file("a"))])) == []
