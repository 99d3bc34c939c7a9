"""The answers of ``/status``: whole states, or summaries without the lists of files."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from rag_pipeline.contract import wire
from rag_pipeline.http_server.content import Content, error_content, json_content, no_pipeline
from rag_pipeline.http_server.query import QueryError, status_query
from rag_pipeline.http_server.service_view import Source

LISTS = wire.State.__annotations__.keys() - wire.StateSummary.__annotations__.keys()
"""The fields that make a state large: a summary has their counts."""


def status(source: Source, query: str) -> Content:
    """Return the default pipeline's state, with those of all when there are several."""
    return _answer(source.status(), query)


def pipeline(source: Source, pipeline_id: str, query: str) -> Content:
    """Return the state of one pipeline, or 404."""
    state = source.pipeline(pipeline_id)
    return no_pipeline(pipeline_id) if state is None else _answer(state, query)


def summary(state: Mapping[str, object]) -> dict[str, object]:
    """Return the state without its lists of files, as well as the states in ``pipelines``."""
    kept = {name: value for name, value in state.items() if name not in LISTS}
    pipelines = state.get("pipelines")  # a reserved name: no pipeline has a field of its own called so
    if isinstance(pipelines, Mapping):
        kept["pipelines"] = {pipeline_id: summary(one) for pipeline_id, one in pipelines.items()}
    return kept


def _answer(state: Mapping[str, object], query: str) -> Content:
    try:
        return json_content(HTTPStatus.OK, summary(state) if status_query(query) else state)
    except QueryError as error:
        return error_content(HTTPStatus.BAD_REQUEST, str(error))
