"""What ``POST /control/<pipeline_id>/<action>`` does: it asks a pipeline, for those who may, and says how that went."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

from rag_pipeline.http_server.content import Content, error_content, json_content, no_pipeline
from rag_pipeline.http_server.query import QueryError, parse
from rag_pipeline.http_server.service_view import Source
from rag_pipeline.status.control import NEED_FILE, Action, ControlError

PARAMETERS = ("file", "count")
_COUNT = re.compile("[0-9]{1,9}")
OFF = "pipelines can't be directed over HTTP: STATUS_CONTROL=1 allows it"
STRANGER = "a page of this origin may not direct pipelines: SOCKET_IO_CORS_ORIGIN names those that may"


class Order(NamedTuple):
    """What is asked of which pipeline; ``query`` is the query string as it came."""

    pipeline_id: str
    action: Action
    query: str


def direct(source: Source, order: Order, *, welcome: bool) -> Content:
    """Ask for it; 202 says that the pipeline comes to it, 409 why it can't be done, or not now.

    ``welcome`` is False for a request that a page of someone else's may have sent.
    """
    if not source.controllable:
        return error_content(HTTPStatus.FORBIDDEN, OFF)
    if not welcome:
        return error_content(HTTPStatus.FORBIDDEN, STRANGER)
    try:
        given = parse(order.query, PARAMETERS)
        file_id, count = _file_of(order.action, given.get("file") or None), _count_of(order.action, given.get("count"))
    except QueryError as error:
        return error_content(HTTPStatus.BAD_REQUEST, str(error))
    if source.pipeline(order.pipeline_id) is None:
        return no_pipeline(order.pipeline_id)
    try:
        source.control(order.pipeline_id, order.action, file_id, count)
    except ControlError as error:
        return error_content(HTTPStatus.CONFLICT, str(error))
    told = {"pipeline_id": order.pipeline_id, "action": order.action.value, "file": file_id}
    return json_content(HTTPStatus.ACCEPTED, told)


def _file_of(action: Action, file_id: str | None) -> str | None:
    """Return the id of the file that the order is about; raises :class:`QueryError`."""
    if action in NEED_FILE and file_id is None:
        raise QueryError(f"{action} is about one file: expected ?file= with its id")
    if action not in NEED_FILE and file_id is not None:
        raise QueryError(f"{action} is about the whole pipeline: expected no file")
    return file_id


def _count_of(action: Action, count: str | None) -> int | None:
    """Return how many deletions are meant; raises :class:`QueryError`."""
    if count is None:
        return None
    if action is not Action.CONFIRM:
        raise QueryError(f"{action} is about no number of files: expected no count")
    if _COUNT.fullmatch(count) is None:
        raise QueryError("count: expected the number of deletions that are held")
    return int(count)
