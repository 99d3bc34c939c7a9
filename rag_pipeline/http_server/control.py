"""Answers ``POST /control/<pipeline_id>/<action>``: sends a control request to a pipeline."""

from __future__ import annotations

import re
from http import HTTPStatus

from rag_pipeline.http_server.content import ResponseContent, error_content, json_content, no_pipeline
from rag_pipeline.http_server.query import QueryError, parse
from rag_pipeline.http_server.service_view import ServiceView
from rag_pipeline.status.control import NEED_FILE, Action, ControlError

PARAMETERS = ("file", "count")
_COUNT = re.compile("[0-9]{1,9}")
OFF = "pipelines can't be controlled over HTTP: set STATUS_CONTROL=1 to allow it"
STRANGER = "a page of this origin may not control pipelines: SOCKET_IO_CORS_ORIGIN names the origins that may"


def control(view: ServiceView, pipeline_id: str, action: Action, query: str, *, trusted: bool) -> ResponseContent:
    """Send the request; answer 202 if the pipeline will act on it, 409 with the reason if it can't.

    ``trusted`` is False for a request that another site's page may have sent (CSRF). Raises :class:`QueryError`.
    """
    if not view.controllable:
        return error_content(HTTPStatus.FORBIDDEN, OFF)
    if not trusted:
        return error_content(HTTPStatus.FORBIDDEN, STRANGER)
    given = parse(query, PARAMETERS)
    file_id, count = _file_id(action, given.get("file") or None), _count(action, given.get("count"))
    if view.pipeline(pipeline_id) is None:
        return no_pipeline(pipeline_id)
    try:
        view.control(pipeline_id, action, file_id, count)
    except ControlError as error:
        return error_content(HTTPStatus.CONFLICT, str(error))
    body = {"pipeline_id": pipeline_id, "action": action.value, "file": file_id}
    return json_content(HTTPStatus.ACCEPTED, body)


def _file_id(action: Action, file_id: str | None) -> str | None:
    """Return the id of the file to act on; raises :class:`QueryError`."""
    if action in NEED_FILE and file_id is None:
        raise QueryError(f"{action} is about one file: expected ?file= with its id")
    if action not in NEED_FILE and file_id is not None:
        raise QueryError(f"{action} is about the whole pipeline: expected no file")
    return file_id


def _count(action: Action, count: str | None) -> int | None:
    """Return the number of deletions to confirm; raises :class:`QueryError`."""
    if count is None:
        return None
    if action is not Action.CONFIRM:
        raise QueryError(f"{action} takes no count: expected no count")
    if _COUNT.fullmatch(count) is None:
        raise QueryError("count: expected the number of deletions that are held")
    return int(count)
