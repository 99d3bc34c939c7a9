"""Answers ``/status``: whole states, or summaries without the lists of files."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from rag_pipeline.contract import wire
from rag_pipeline.http_server.content import ResponseContent, json_content, no_pipeline
from rag_pipeline.http_server.query import status_query
from rag_pipeline.http_server.service_view import ServiceView, combined

LISTS = wire.State.__annotations__.keys() - wire.StateSummary.__annotations__.keys()
"""The fields that make a state large; a summary has only their counts."""


def status(view: ServiceView, query: str) -> ResponseContent:
    """Return the default pipeline's state, and the states of all if there are several."""
    return _content(combined(view.states()), query)


def pipeline(view: ServiceView, pipeline_id: str, query: str) -> ResponseContent:
    """Return the state of one pipeline, or 404."""
    state = view.pipeline(pipeline_id)
    return no_pipeline(pipeline_id) if state is None else _content(state, query)


def summary(state: Mapping[str, object]) -> dict[str, object]:
    """Return the state without its lists of files; so too for the states in ``pipelines``."""
    kept = {name: value for name, value in state.items() if name not in LISTS}
    pipelines = state.get("pipelines")  # a reserved name: no pipeline has a field of its own called so
    if isinstance(pipelines, Mapping):
        kept["pipelines"] = {pipeline_id: summary(one) for pipeline_id, one in pipelines.items()}
    return kept


def _content(state: Mapping[str, object], query: str) -> ResponseContent:
    return json_content(HTTPStatus.OK, summary(state) if status_query(query) else state)
