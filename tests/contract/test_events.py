from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent, iso, namespaces_of, resolve_namespace, type_of
from rag_pipeline.status.model import FileBody, FileRecord, FileTotals


def test_events_of_a_known_type_go_to_its_namespace_and_to_pipeline() -> None:
    assert namespaces_of("google_drive") == ("/google_drive", "/pipeline")
    assert namespaces_of("local_files") == ("/local_files", "/pipeline")


def test_events_of_another_type_go_to_pipeline_alone() -> None:
    assert namespaces_of("sharepoint") == namespaces_of(None) == ("/pipeline",)


def test_a_change_of_type_goes_to_both_namespaces_once() -> None:
    assert namespaces_of("local_files", "google_drive") == ("/local_files", "/google_drive", "/pipeline")
    assert namespaces_of("local_files", "local_files") == ("/local_files", "/pipeline")


def test_a_namespace_has_its_type() -> None:
    assert [type_of(ns) for ns in events.NAMESPACES] == ["google_drive", "local_files", None]


def test_only_the_root_is_another_name_for_pipeline() -> None:
    assert [resolve_namespace(name) for name in events.NAMESPACE_NAMES] == [*events.NAMESPACES, events.NS_PIPELINE]
    assert type_of("/") is None


def test_times_are_iso_8601_in_utc_with_offset() -> None:
    assert iso(0.0) == "1970-01-01T00:00:00.000+00:00"
    assert iso(1_700_000_000.5) == "2023-11-14T22:13:20.500+00:00"
    assert iso(None) is None


@given(st.floats(min_value=0, max_value=4e9))
def test_a_time_reads_back_to_the_millisecond(at: float) -> None:
    text = iso(at)
    assert text is not None
    read = datetime.fromisoformat(text)
    assert read.tzinfo == UTC
    assert abs(read.timestamp() - at) <= 0.0011


def test_the_payload_is_the_envelope_and_the_body() -> None:
    body = FileBody(FileRecord("a.pdf", "1"), FileTotals(1, 2, 3, 4, 1))
    event = PipelineEvent(events.FILE_COMPLETED, ("/pipeline",), "p", "local_files", "e", 7, 0.0, body)
    payload = event.payload()
    assert list(payload) == ["pipeline_id", "pipeline_type", "epoch", "seq", "timestamp", "file", "totals"]
    assert payload["seq"] == 7
    assert payload["timestamp"] == "1970-01-01T00:00:00.000+00:00"
    assert payload["totals"] == {
        "total_processed": 1,
        "total_failed": 2,
        "total_skipped": 3,
        "total_deleted": 4,
        "total_with_warnings": 1,
    }
