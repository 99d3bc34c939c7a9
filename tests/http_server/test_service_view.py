"""States combined into the body of /status, and stubs that implement the view."""

from __future__ import annotations

from rag_pipeline.http_server.service_view import ServiceView, combined
from tests.http_server.support import StubView

VIEW: ServiceView = StubView()  # mypy checks that the tests' stub implements the protocol
FIRST, SECOND = {"pipeline_id": "a", "status": "idle"}, {"pipeline_id": "b", "status": "running"}


def test_one_state_stands_alone() -> None:
    assert combined([FIRST]) is FIRST


def test_several_states_are_the_first_one_and_all_by_id() -> None:
    assert combined([FIRST, SECOND]) == {**FIRST, "pipelines": {"a": FIRST, "b": SECOND}}


def test_without_states_the_mapping_is_empty() -> None:
    assert combined([]) == {"pipelines": {}}
