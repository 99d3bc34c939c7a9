"""Query strings: valid ones, and the errors of invalid ones."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract import events
from rag_pipeline.http_server.query import EventsQuery, QueryError, events_query, files_query, parse, status_query
from rag_pipeline.journal.base import FileQuery, FileStatus, offset_of
from tests.http_server.support import JOURNAL, StubView

POSITION_OF = StubView().generations.position_of
OFFSETS = st.builds(offset_of, st.just(JOURNAL), st.integers(0, 1 << 62))
LIMITS = st.integers(1, 1000)
PRINTABLE = st.text(st.characters(categories=("L", "N", "P", "S"))).map(str.strip)
AN_OFFSET = "the offset of an event, or what an earlier answer gave as next"


@pytest.mark.parametrize("query", ["", "&", "&&&"])
def test_an_empty_query_has_the_defaults(query: str) -> None:
    assert events_query(query) == EventsQuery(None, "/pipeline", 100)
    assert files_query(query, POSITION_OF) == FileQuery(None, None, None, None, 100)


def test_every_parameter_is_parsed() -> None:
    assert events_query("since=0123abcd-1f&namespace=%2Flocal_files&limit=1000") == EventsQuery(
        "0123abcd-1f", "/local_files", 1000
    )
    asked = files_query("status=failed&q=two+w%C3%B6rds%2B&pipeline_id=a/b&before=0123abcd-1f&limit=1", POSITION_OF)
    assert asked == FileQuery(FileStatus.FAILED, "two wörds+", "a/b", 31, 1)
    assert files_query("warnings=true", POSITION_OF).warnings is True
    assert files_query("warnings=false", POSITION_OF).warnings is False


@pytest.mark.parametrize(
    ("query", "summary"),
    [("", False), ("summary=true", True), ("&x=1&summary=false&y=%ff", False), ("Summary=1", False)],
)
def test_a_summary_can_be_requested(query: str, summary: bool) -> None:
    assert status_query(query) is summary


@pytest.mark.parametrize("value", ["", "1", "TRUE", "yes", " true"])
def test_a_summary_is_requested_by_true_or_false(value: str) -> None:
    with pytest.raises(QueryError, match="expected true or false"):
        status_query(f"summary={quote(value)}")


def test_names_are_decoded_and_end_at_the_first_equals_sign() -> None:
    assert parse("%71=a=b&", ("q",)) == {"q": "a=b"}


def test_utf_8_need_not_be_percent_encoded() -> None:
    assert parse("q=Größe".encode().decode("latin-1"), ("q",)) == {"q": "Größe"}
    with pytest.raises(QueryError, match="expected UTF-8"):
        parse("q=Größe".encode("latin-1").decode("latin-1"), ("q",))


def test_an_empty_search_form_searches_for_nothing() -> None:
    assert files_query("q=", POSITION_OF).text is None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit='0': expected a whole number from 1 to 1000"),
        ("limit=1001", "limit='1001': expected a whole number from 1 to 1000"),
        ("limit=%2B5", "limit='+5': expected a whole number from 1 to 1000"),
        ("limit=1_0", "limit='1_0': expected a whole number from 1 to 1000"),
        ("limit=%D9%A1", "limit='١': expected a whole number from 1 to 1000"),
        ("limit=" + "9" * 5000, f"limit='{'9' * 200}': expected a whole number from 1 to 1000"),
        ("limit", "limit='': expected a whole number from 1 to 1000"),
        ("since=", f"since='': expected {AN_OFFSET}"),
        ("since=yesterday", f"since='yesterday': expected {AN_OFFSET}"),
        ("namespace=pipeline", "namespace='pipeline': expected /google_drive, /local_files, /pipeline or /"),
        ("limit=1&limit=2", "limit is given as '1' and as '2': expected it once"),
        ("limit=1&limit=1", "limit is given as '1' and as '1': expected it once"),
        ("token=secret", "unknown parameter 'token': expected since, namespace or limit"),
        ("Limit=1", "unknown parameter 'Limit': expected since, namespace or limit"),
        ("=1", "unknown parameter '': expected since, namespace or limit"),
        ("a%0Ab=1", "unknown parameter 'a\\nb': expected since, namespace or limit"),
        ("since=%ff", "'%ff' in the query: expected UTF-8, percent-encoded"),
    ],
)
def test_errors_of_events_queries(query: str, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        events_query(query)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("status=done", "status='done': expected processing, completed, failed, skipped or deleted"),
        ("status=", "status='': expected processing, completed, failed, skipped or deleted"),
        ("q=" + "x" * 201, f"q='{'x' * 200}': expected at most 200 characters"),
        ("pipeline_id=", "pipeline_id='': expected 1 to 200 printable characters"),
        ("pipeline_id=a%00", "pipeline_id='a\\x00': expected 1 to 200 printable characters"),
        ("before=1", f"before='1': expected {AN_OFFSET}"),
        (
            "before=ffffffff-1",
            f"before='ffffffff-1': expected {AN_OFFSET}; this one is not of the journal that is kept now",
        ),
        ("limit=-1", "limit='-1': expected a whole number from 1 to 1000"),
        ("warnings=1", "warnings='1': expected true or false"),
        ("since=1", "unknown parameter 'since': expected status, q, pipeline_id, warnings, before or limit"),
    ],
)
def test_errors_of_files_queries(query: str, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        files_query(query, POSITION_OF)
    assert str(raised.value) == message


def test_the_root_is_an_alias_of_pipeline() -> None:
    assert events_query("namespace=/") == events_query("namespace=%2F") == EventsQuery(namespace="/pipeline")


@given(st.builds(EventsQuery, OFFSETS, st.sampled_from(events.NAMESPACES), LIMITS))
def test_any_valid_events_query_is_parsed(asked: EventsQuery) -> None:
    assert events_query(urlencode(asked._asdict())) == asked
    assert events_query(urlencode(asked._asdict(), quote_via=quote)) == asked


@given(st.sampled_from(FileStatus), st.text(min_size=1, max_size=200), PRINTABLE, st.integers(0, 1 << 62), LIMITS)
def test_any_valid_files_query_is_parsed(status: FileStatus, text: str, name: str, before: int, limit: int) -> None:
    name = name[:200] or "id"
    given_values = {"status": status, "q": text, "pipeline_id": name, "before": offset_of(JOURNAL, before)}
    asked = files_query(urlencode({**given_values, "limit": limit}), POSITION_OF)
    assert asked == FileQuery(status, text, name, before, limit)


@given(st.text(st.sampled_from("sincelmtafhqu=&%+0123456789-/ é\n")) | st.text())
def test_any_query_is_parsed_or_is_an_error_on_one_bounded_line(query: str) -> None:
    for read in (events_query, lambda text: files_query(text, POSITION_OF)):
        told = ""
        try:
            assert 1 <= read(query).limit <= 1000
        except QueryError as error:
            told = str(error)
        assert told == "" or "expected" in told
        assert told == "" or told.isprintable()
        assert len(told) < 2_000
