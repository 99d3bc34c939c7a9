"""States over HTTP: whole ones unless a summary is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.http_server import states
from rag_pipeline.http_server.content import ResponseContent
from tests.http_server.support import STATE, StubSource
from tests.support.http_get import get_json

FILES = {"files_processing", "files_completed", "files_failed", "files_skipped"}


def decoded(content: ResponseContent) -> tuple[int, Mapping[str, object]]:
    assert isinstance(content.body, bytes)
    return content.status, json.loads(content.body)


def test_lists_of_files_are_all_that_a_summary_leaves_out() -> None:
    assert states.LISTS == FILES
    assert states.summary({**STATE, "model": "own"}) == {
        **{name: value for name, value in STATE.items() if name not in FILES},
        "model": "own",
    }


@pytest.mark.parametrize("query", ["", "summary=false", "x=1&y=%ff", "summaries=true"])
def test_the_whole_state_is_the_default(query: str) -> None:
    assert decoded(states.status(StubSource(), query)) == (200, STATE)
    assert decoded(states.pipeline(StubSource(), "local", query)) == (200, STATE)


@pytest.mark.parametrize("query", ["summary=true", "x=%ff&summary=%74rue"])
def test_a_summary_is_given_where_it_is_asked_for(query: str) -> None:
    assert decoded(states.status(StubSource(), query)) == (200, states.summary(STATE))
    assert decoded(states.pipeline(StubSource(), "local", query)) == (200, states.summary(STATE))
    assert states.pipeline(StubSource(), "none", query).status == 404


@pytest.mark.parametrize("query", ["summary=1", "summary", "summary=True", "summary=true&summary=true"])
def test_what_summary_can_not_be_is_told(query: str) -> None:
    for content in (states.status(StubSource(), query), states.pipeline(StubSource(), "local", query)):
        status, body = decoded(content)
        assert status == 400
        assert str(body["error"]).startswith("summary")


def test_summaries_of_many_busy_pipelines_are_small_and_keep_the_counts() -> None:
    pipelines = [PipelineStatus("local_files", f"folder-{number}") for number in range(40)]
    for pipeline in pipelines:
        for number in range(110):
            pipeline.add_processing_file(f"a name of some length {number:04}.pdf", str(number), size=number)
        pipeline.complete_file("a name of some length 0007.pdf", file_id="7")
        pipeline.skip_file("film.mp4", "no reader")
    with start_status_server(0, pipelines=pipelines) as server:
        whole = get_json(server.http_port, "/status").body
        found = get_json(server.http_port, "/status?summary=true").body
        one = get_json(server.http_port, "/status/folder-3?summary=true").body
    assert len(json.dumps(found)) * 20 < len(json.dumps(whole))
    assert found["pipelines"].keys() == whole["pipelines"].keys()
    for told in (found, one, *found["pipelines"].values()):
        assert not FILES & told.keys()
        assert (told["files_in_flight"], told["total_processed"], told["total_skipped"]) == (109, 1, 1)


def test_without_pipelines_a_summary_says_so() -> None:
    with start_status_server(0, pipelines=[]) as server:
        assert get_json(server.http_port, "/status?summary=true") == (200, {"pipelines": {}})
