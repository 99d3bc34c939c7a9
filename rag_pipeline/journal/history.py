"""The list of files of a journal in memory, computed from its events."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import islice

from rag_pipeline.journal.base import MAX_PAGE, Entry, FileMatch, FileQuery, FileStatus
from rag_pipeline.journal.files import STATUS_OF, file_of, is_warned, keys_of
from rag_pipeline.journal.search_text import folded
from rag_pipeline.status.files import Key
from rag_pipeline.status.model import FileRecord


def in_flight_key(file: FileRecord, in_flight: Container[Key]) -> Key | None:
    """Return the key under which a finished file was in flight; None if it was not.

    That is the key of its id; or of its name, if it was started before its id was known.
    """
    return next((key for key in keys_of(file) if key is not None and key in in_flight), None)


def files_of(entries: Iterable[Entry], query: FileQuery) -> list[FileMatch]:
    """Return the files that match, most recently changed first, each as of its last event among the entries.

    The entries must be in order, with their events as published: events read from storage have no file records.
    """
    last: dict[tuple[str, Key], FileMatch] = {}
    records: dict[int, FileRecord] = {}
    in_flight: dict[str, set[Key]] = {}
    for entry in entries:
        event, file = entry.event, file_of(entry.event)
        if file is None or event.pipeline_id is None:
            continue
        status, key = STATUS_OF[event.name], keys_of(file)[0]
        keys = in_flight.setdefault(event.pipeline_id, set())
        if status is FileStatus.PROCESSING:
            keys.add(key)
        elif (begun := in_flight_key(file, keys)) is not None:
            keys.remove(begun)
            last.pop((event.pipeline_id, begun), None)
        last.pop((event.pipeline_id, key), None)  # reinserted below, to order by last change
        last[event.pipeline_id, key] = FileMatch(entry.position, event.pipeline_id, status, event.at, {})
        records[entry.position] = file
    matches = (row for row in reversed(last.values()) if _fits(row, records[row.position], query))
    return [row._replace(file=records[row.position].to_json()) for row in islice(matches, page_size(query))]


def page_size(query: FileQuery) -> int:
    """Return the number of files that the query may return."""
    return max(0, min(query.limit, MAX_PAGE))


def _fits(row: FileMatch, file: FileRecord, query: FileQuery) -> bool:
    return (
        (query.status is None or row.status is query.status)
        and (query.pipeline_id is None or row.pipeline_id == query.pipeline_id)
        and (query.before is None or row.position < query.before)
        and (query.warnings is None or is_warned(row.status, file) is query.warnings)
        and (not query.text or _has_text(file, folded(query.text)))
    )


def _has_text(file: FileRecord, text: str) -> bool:
    return text in folded(file.name) or (file.error is not None and text in folded(file.error.message))
