"""The content of /events and /files."""

from __future__ import annotations

import json

import pytest

from rag_pipeline.http_server import history
from rag_pipeline.http_server.content import ResponseContent
from rag_pipeline.http_server.service_view import JournalPage
from rag_pipeline.journal.base import FileMatch, FileQuery, FileStatus
from tests.http_server.support import StubView, packet

STREAM = {"accept": "text/event-stream"}


def row(position: int, status: FileStatus = FileStatus.FAILED, **file: object) -> FileMatch:
    return FileMatch(position, "local", status, 1_700_000_000.5, {"name": f"{position}.pdf", **file})


def body_of(content: ResponseContent) -> bytes:
    assert isinstance(content.body, bytes)
    return content.body


def test_a_page_of_events_is_these_bytes() -> None:
    view = StubView()
    view.page = JournalPage(
        [packet("o-1", "pipeline:status", '{"a":"é"}'), packet("o-2", "x", "{}")], "o-9", recovered=False, more=True
    )
    found = history.events(view, "since=0123abcd-1f&namespace=/local_files&limit=7", {"accept": "*/*"})
    assert (found.status, found.content_type) == (200, "application/json; charset=utf-8")
    expected = (
        '{"events":[{"event":"pipeline:status","data":{"a":"é"}},{"event":"x","data":{}}],'
        '"next":"o-9","recovered":false,"more":true}\n'
    )
    assert body_of(found) == expected.encode()
    assert view.calls == [("events", "0123abcd-1f", "/local_files", 7)]


def test_a_page_can_have_no_events() -> None:
    view = StubView()
    found = json.loads(body_of(history.events(view, "", {})))
    assert found == {"events": [], "next": "0123abcd-0", "recovered": True, "more": False}
    assert view.calls == [("events", None, "/pipeline", 100)]


def test_a_page_ignores_the_last_event_id_header() -> None:
    view = StubView()
    history.events(view, "", {"last-event-id": "0123abcd-5"})
    assert view.calls == [("events", None, "/pipeline", 100)]


@pytest.mark.parametrize(
    ("query", "header", "since"),
    [
        ("", {}, None),
        ("since=0123abcd-1&limit=5", {}, "0123abcd-1"),
        ("since=0123abcd-1", {"last-event-id": "0123abcd-2"}, "0123abcd-2"),
        ("since=0123abcd-1", {"last-event-id": ""}, "0123abcd-1"),
        ("", {"last-event-id": "of another service"}, "of another service"),
    ],
)
def test_a_stream_resumes_from_the_clients_offset(query: str, header: dict[str, str], since: str | None) -> None:
    view = StubView()
    found = history.events(view, query, {**STREAM, **header})
    assert view.calls == []  # a HEAD request opens no stream
    assert (found.status, found.content_type) == (200, "text/event-stream")
    assert found.headers == {"X-Accel-Buffering": "no"}
    assert callable(found.body)
    stream = found.body()
    assert view.calls == [("follow", "/pipeline", since)]
    assert stream.read(0.01) == b""


def test_files_are_these_bytes() -> None:
    view = StubView()
    view.rows = [row(31, error={"type": "E"})]
    found = history.files(view, "status=failed&q=x&before=0123abcd-20")
    assert found.status == 200
    assert body_of(found) == (
        b'{"files":[{"name":"31.pdf","error":{"type":"E"},"status":"failed","pipeline_id":"local",'
        b'"changed_at":"2023-11-14T22:13:20.500+00:00","offset":"0123abcd-1f"}],"next":null,"complete":true}\n'
    )
    assert view.calls == [("files", FileQuery(FileStatus.FAILED, "x", None, 32, 100))]


def test_a_full_page_of_files_has_the_offset_of_the_next() -> None:
    view = StubView()
    view.rows = [row(9), row(5)]
    assert json.loads(body_of(history.files(view, "limit=2")))["next"] == "0123abcd-5"
    assert json.loads(body_of(history.files(view, "limit=3")))["next"] is None
