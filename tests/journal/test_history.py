from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.journal import FileQuery, FileStatus
from rag_pipeline.journal.base import MAX_PAGE, Entry
from rag_pipeline.journal.history import files_of, in_flight_key
from rag_pipeline.journal.sqlite.journal import SqliteJournal
from rag_pipeline.status.model import FileRecord
from rag_pipeline.status.pipeline import core_of
from tests.journal.driving import TEXTS, Step, numbered, recorded, steps, take
from tests.support.unicode_forms import FORMS, Form

queries = st.builds(
    FileQuery,
    st.sampled_from([None, *FileStatus]),
    st.sampled_from([None, *TEXTS]),
    st.sampled_from([None, "one", "two", "none"]),
    st.sampled_from([None, 0, 1, 5, 20, 1 << 70]),
    st.sampled_from([-1, 0, 1, 3, 100, 1 << 70]),
    st.sampled_from([None, True, False]),
)


def entries_of(*made: Step) -> list[Entry]:
    """Return the events of a pipeline that makes these calls."""
    pipeline, recorder = recorded()
    for step in made:
        take(pipeline, step)
    pipeline.close()
    return numbered(recorder.events)


def start(name: str, file_id: str | None = None) -> Step:
    return "add_processing_file", {"filename": name, "file_id": file_id}


def done(name: str, file_id: str | None = None) -> Step:
    return "complete_file", {"filename": name, "file_id": file_id}


def listed(entries: list[Entry], query: FileQuery = FileQuery()) -> list[tuple[str, str | None, str]]:  # noqa: B008
    return [(row.file["name"], row.file["id"], row.status) for row in files_of(entries, query)]


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(st.tuples(st.booleans(), steps), max_size=40), st.lists(queries, min_size=1, max_size=12), st.data())
def test_memory_and_sqlite_list_the_same_files(
    taken: list[tuple[bool, Step]], queries: list[FileQuery], data: st.DataObject
) -> None:
    (one, recorder), (two, _) = recorded("one"), recorded("two")
    core_of(two).attach(recorder)
    for first, step in taken:
        take(one if first else two, step)
    for pipeline in (one, two):
        core_of(pipeline).flush(everything=True)
        pipeline.close()
    events = recorder.events
    with tempfile.TemporaryDirectory() as folder, closing(SqliteJournal(Path(folder) / "journal.sqlite3")) as journal:
        kept: list[Entry] = []
        while len(kept) < len(events):
            size = data.draw(st.integers(1, len(events)))
            kept += journal.append(events[len(kept) : len(kept) + size])
        assert [entry.position for entry in kept] == [entry.position for entry in numbered(events)]
        for query in queries:
            assert journal.files(query) == files_of(kept, query)


def test_a_file_is_listed_once_and_the_most_recently_changed_comes_first() -> None:
    entries = entries_of(start("a"), start("b"), done("a"), start("c"))
    assert listed(entries) == [("c", None, "processing"), ("a", None, "completed"), ("b", None, "processing")]


def test_a_file_whose_id_became_known_at_its_end_is_one_file() -> None:
    assert listed(entries_of(start("a"), done("a", "1"))) == [("a", "1", "completed")]


def test_of_two_files_with_one_name_the_one_with_the_id_ends() -> None:
    entries = entries_of(start("a"), start("a", "1"), done("a", "1"))
    assert listed(entries) == [("a", "1", "completed"), ("a", None, "processing")]


def test_pages_follow_one_another_without_gap_or_repetition() -> None:
    entries = entries_of(*(start(f"file {n}") for n in range(7)))
    first = files_of(entries, FileQuery(limit=4))
    rest = files_of(entries, FileQuery(limit=4, before=first[-1].position))
    assert [row.file["name"] for row in first + rest] == [f"file {n}" for n in reversed(range(7))]


def test_a_page_is_limited_whatever_the_query_says() -> None:
    entries = entries_of(*(start(f"file {n}") for n in range(MAX_PAGE + 1)))
    assert len(files_of(entries, FileQuery(limit=1 << 70))) == MAX_PAGE


def test_text_is_searched_in_names_and_messages_without_wildcards() -> None:
    failed: Step = ("complete_file", {"filename": "b", "success": False, "error": "No such PAGE"})
    entries = entries_of(start("100%"), failed)
    assert listed(entries, FileQuery(text="SUCH page")) == [("b", None, "failed")]
    assert listed(entries, FileQuery(text="0%")) == [("100%", None, "processing")]
    assert listed(entries, FileQuery(text="_")) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_name_is_found_by_either_unicode_form(form: Form) -> None:
    name = normalize(form, "Mönch")
    for other in FORMS:
        assert listed(entries_of(start(name)), FileQuery(text=normalize(other, "MÖN"))) == [(name, None, "processing")]


def test_the_in_flight_key_is_the_one_the_file_was_started_under() -> None:
    file = FileRecord("a", "1", started_at=1.0)
    by_name, by_id = ("name", "a"), ("id", "1")
    assert in_flight_key(file, {by_name}) == by_name
    assert in_flight_key(file, {by_name, by_id}) == by_id
    assert in_flight_key(file, set()) is None
    assert in_flight_key(file._replace(started_at=None), {by_name}) is None, "another file of that name"
