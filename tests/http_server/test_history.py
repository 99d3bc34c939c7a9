"""What /events and /files say."""

from __future__ import annotations

import json
import logging

import pytest

from rag_pipeline.errors import JournalBusyError, JournalError
from rag_pipeline.http_server import history
from rag_pipeline.http_server.content import Content
from rag_pipeline.http_server.service_view import EventPage, Item
from rag_pipeline.journal.base import FileQuery, FileRow, FileStatus
from tests.http_server.support import StubSource, item

STREAM = {"accept": "text/event-stream"}


def row(position: int, status: FileStatus = FileStatus.FAILED, **file: object) -> FileRow:
    return FileRow(position, "local", status, 1_700_000_000.5, {"name": f"{position}.pdf", **file})


def body_of(content: Content) -> bytes:
    assert isinstance(content.body, bytes)
    return content.body


def test_a_page_of_events_is_these_bytes() -> None:
    source = StubSource()
    source.page = EventPage(
        [Item("o-1", "pipeline:status", '{"a":"é"}'), Item("o-2", "x", "{}")], "o-9", recovered=False, more=True
    )
    found = history.events(source, "since=0123abcd-1f&namespace=/local_files&limit=7", {"accept": "*/*"})
    assert (found.status, found.content_type) == (200, "application/json; charset=utf-8")
    expected = (
        '{"events":[{"event":"pipeline:status","data":{"a":"é"}},{"event":"x","data":{}}],'
        '"next":"o-9","recovered":false,"more":true}\n'
    )
    assert body_of(found) == expected.encode()
    assert source.asked == [("events", "0123abcd-1f", "/local_files", 7)]


def test_no_events_are_a_page_too() -> None:
    source = StubSource()
    found = json.loads(body_of(history.events(source, "", {})))
    assert found == {"events": [], "next": "0123abcd-0", "recovered": True, "more": False}
    assert source.asked == [("events", None, "/pipeline", 100)]


def test_the_header_of_a_stream_says_nothing_about_a_page() -> None:
    source = StubSource()
    history.events(source, "", {"last-event-id": "0123abcd-5"})
    assert source.asked == [("events", None, "/pipeline", 100)]


def test_a_page_is_bounded_in_size_and_says_where_to_go_on() -> None:
    source = StubSource()
    items = [item(position, text="x" * (1 << 20)) for position in range(1, 7)]
    source.page = EventPage(items, items[-1].offset, recovered=True, more=False)
    found = json.loads(body_of(history.events(source, "", {})))
    assert [event["data"]["seq"] for event in found["events"]] == [1, 2, 3]
    assert (found["next"], found["more"]) == (items[2].offset, True)


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
def test_a_stream_goes_on_where_the_client_was(query: str, header: dict[str, str], since: str | None) -> None:
    source = StubSource()
    found = history.events(source, query, {**STREAM, **header})
    assert source.asked == []  # who only asks for the headers need not be followed
    assert (found.status, found.content_type) == (200, "text/event-stream")
    assert found.headers == {"X-Accel-Buffering": "no"}
    assert callable(found.body)
    stream = found.body()
    assert source.asked == [("follow", "/pipeline", since)]
    assert stream.read(0.01) == b""


@pytest.mark.parametrize("headers", [{}, STREAM])
def test_a_question_about_events_that_makes_no_sense_is_400(headers: dict[str, str]) -> None:
    source = StubSource()
    found = history.events(source, "limit=many", headers)
    assert found.status == 400
    assert body_of(found) == b'{"error":"limit=\'many\': expected a whole number from 1 to 1000"}\n'
    assert source.asked == []


def test_files_are_these_bytes() -> None:
    source = StubSource()
    source.rows = [row(31, error={"type": "E"})]
    found = history.files(source, "status=failed&q=x&before=0123abcd-20")
    assert found.status == 200
    assert body_of(found) == (
        b'{"files":[{"name":"31.pdf","error":{"type":"E"},"status":"failed","pipeline_id":"local",'
        b'"changed_at":"2023-11-14T22:13:20.500+00:00","offset":"0123abcd-1f"}],"next":null,"complete":true}\n'
    )
    assert source.asked == [("files", FileQuery(FileStatus.FAILED, "x", None, 32, 100))]


def test_a_full_page_of_files_says_where_the_next_begins() -> None:
    source = StubSource()
    source.rows = [row(9), row(5)]
    assert json.loads(body_of(history.files(source, "limit=2")))["next"] == "0123abcd-5"
    assert json.loads(body_of(history.files(source, "limit=3")))["next"] is None


def test_an_offset_of_another_journal_is_told() -> None:
    found = history.files(StubSource(), "before=ffffffff-1")
    assert found.status == 400
    assert "not of the journal that is kept now" in json.loads(body_of(found))["error"]


def test_a_journal_that_cannot_be_read_is_503_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    source = StubSource()
    source.error = JournalError("the disk is gone")
    with caplog.at_level(logging.WARNING, "rag_pipeline.http"):
        answers = [history.events(source, "", {}), history.files(source, "")]
    for found in answers:
        assert found.status == 503
        assert body_of(found) == b'{"error":"the history can\'t be read now: see /health"}\n'
    assert caplog.text.count("the disk is gone") == 2


def test_one_search_too_many_is_503_with_a_time_to_wait_and_no_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = StubSource()
    source.error = JournalBusyError("too many searches at once; try again in a second")
    found = history.files(source, "q=a")
    assert (found.status, found.headers["Retry-After"]) == (503, "1")
    assert body_of(found) == b'{"error":"too many searches at once; try again in a second"}\n'
    assert caplog.text == ""
