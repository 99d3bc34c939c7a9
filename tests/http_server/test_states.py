"""States over HTTP: whole ones, or summaries on request."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.http_server import states
from rag_pipeline.http_server.content import ResponseContent
from tests.http_server.support import STATE, StubView
from tests.support.http_get import get_json

FILES = {"files_processing", "files_completed", "files_failed", "files_skipped"}


def decoded(content: ResponseContent) -> tuple[int, Mapping[str, object]]:
    assert isinstance(content.body, bytes)
    return content.status, json.loads(content.body)


def test_a_summary_leaves_out_only_the_lists_of_files() -> None:
    assert states.LISTS == FILES
    assert states.summary({**STATE, "model": "own"}) == {
        **{name: value for name, value in STATE.items() if name not in FILES},
        "model": "own",
    }


@pytest.mark.parametrize("query", ["", "summary=false", "x=1&y=%ff", "summaries=true"])
def test_the_whole_state_is_the_default(query: str) -> None:
    assert decoded(states.status(StubView(), query)) == (200, STATE)
    assert decoded(states.pipeline(StubView(), "local", query)) == (200, STATE)


@pytest.mark.parametrize("query", ["summary=true", "x=%ff&summary=%74rue"])
def test_a_summary_is_returned_on_request(query: str) -> None:
    assert decoded(states.status(StubView(), query)) == (200, states.summary(STATE))
    assert decoded(states.pipeline(StubView(), "local", query)) == (200, states.summary(STATE))
    assert states.pipeline(StubView(), "none", query).status == 404


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
    for state in (found, one, *found["pipelines"].values()):
        assert not FILES & state.keys()
        assert (state["files_in_flight"], state["total_processed"], state["total_skipped"]) == (109, 1, 1)


def test_a_summary_without_pipelines_is_empty() -> None:
    with start_status_server(0, pipelines=[]) as server:
        assert get_json(server.http_port, "/status?summary=true") == (200, {"pipelines": {}})
