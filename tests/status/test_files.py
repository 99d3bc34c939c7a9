from __future__ import annotations

from rag_pipeline.status.files import MAX_ATTEMPTS_REMEMBERED, FileInFlight, FilesInFlight, key_of
from rag_pipeline.status.model import FileRecord


def started(*files: tuple[str, str | None]) -> FilesInFlight:
    flight = FilesInFlight()
    for name, file_id in files:
        flight.start(key_of(name, file_id), FileInFlight(FileRecord(name, file_id), 0.0, None))
    return flight


def test_ids_distinguish_files_of_one_name() -> None:
    flight = started(("a", "1"), ("a", "2"))
    assert flight.find("a", "2") == ("id", "2")
    assert flight.find("a", "3") is None
    flight.discard(("id", "1"), "a")
    assert flight.find("a", "1") is None
    assert len(flight) == 1


def test_a_name_without_id_means_the_file_without_id_else_the_first() -> None:
    assert started(("a", "1"), ("a", None)).find("a", None) == ("name", "a")
    assert started(("a", "1"), ("a", "2")).find("a", None) == ("id", "1")
    assert started(("b", "1")).find("a", None) is None


def test_a_file_started_without_id_is_found_when_its_id_is_known() -> None:
    assert started(("a", None)).find("a", "9") == ("name", "a")


def test_a_name_that_looks_like_an_id_is_another_file() -> None:
    flight = started(("1", None), ("x", "1"))
    assert len(flight) == 2


def test_a_renamed_file_keeps_its_id_and_takes_its_new_name() -> None:
    flight = started(("old", "1"), ("new", "1"))
    assert len(flight) == 1
    assert flight.find("old", None) is None
    assert flight.find("new", None) == ("id", "1")


def test_the_100_started_last_are_shown_in_the_order_they_were_started() -> None:
    flight = started(*((f"f{n}", None) for n in range(150)))
    assert [f.name for f in flight.newest()] == [f"f{n}" for n in range(50, 150)]
    flight.start(("name", "f0"), FileInFlight(FileRecord("f0", None), 0.0, None))
    assert flight.newest()[-1].name == "f0"
    assert len(flight) == 150


def test_attempts_count_failures_and_restarts() -> None:
    flight = FilesInFlight()
    key = key_of("a", None)
    assert flight.next_attempt(key) == 1
    flight.remember_failure(key, 4)
    assert flight.next_attempt(key) == 5
    flight.start(key, FileInFlight(FileRecord("a", None, attempt=7), 0.0, None))
    assert flight.next_attempt(key) == 8
    flight.discard(key, "a")
    flight.forget_failures(key)
    assert flight.next_attempt(key) == 1


def test_the_number_of_remembered_failures_is_bounded() -> None:
    flight = FilesInFlight()
    for n in range(MAX_ATTEMPTS_REMEMBERED + 1):
        flight.remember_failure(("id", str(n)), 1)
    assert flight.next_attempt(("id", "0")) == 1
    assert flight.next_attempt(("id", "1")) == 2


def test_an_ended_file_leaves_no_trace() -> None:
    flight = started(("a", "1"), ("a", "2"))
    flight.discard(("id", "1"), "a")
    flight.discard(("id", "2"), "a")
    assert not flight._by_name
    assert not flight._files


def test_failed_ids_are_kept_until_the_file_is_done() -> None:
    files = FilesInFlight()
    files.remember_failure(key_of("a.txt", "a"), 1)
    files.remember_failure(key_of("b.txt", None), 1)
    assert files.failed_ids() == {"a"}
    files.forget_failures(key_of("a.txt", "a"))
    assert files.failed_ids() == frozenset()
