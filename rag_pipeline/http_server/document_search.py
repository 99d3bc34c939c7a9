"""Answers ``/search``: the stored texts that answer a question."""

from __future__ import annotations

from http import HTTPStatus

from rag_pipeline.errors import RagPipelineError, SearchUnavailableError
from rag_pipeline.http_server.content import ResponseContent, error_content, json_content, no_pipeline, unavailable
from rag_pipeline.http_server.query import search_query
from rag_pipeline.http_server.service_view import ServiceView

RETRY_SECONDS = 2


def search(view: ServiceView, query: str) -> ResponseContent:
    """Return the results, best first; 403 if search is off, 503 if it is not possible now. Raises QueryError."""
    if view.search_refusal is not None:
        return error_content(HTTPStatus.FORBIDDEN, view.search_refusal)
    parameters = search_query(query)
    visible = view.searchable_pipelines
    if visible is not None and parameters.pipelines is not None and not parameters.pipelines <= visible:
        return no_pipeline(*parameters.pipelines)
    try:
        results = view.search(parameters)
    except SearchUnavailableError as error:
        return unavailable(str(error), RETRY_SECONDS)
    except RagPipelineError as error:  # the store or the model
        return error_content(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    return json_content(HTTPStatus.OK, {"results": results})
