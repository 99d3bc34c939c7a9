"""start_status_server, and what the process does with its servers when it exits or forks."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rag_pipeline.common import native
from rag_pipeline.common.config import Settings
from rag_pipeline.common.document_search import DocumentSearch
from rag_pipeline.common.lifecycle import launch
from rag_pipeline.common.variables import warn_about_unknown
from rag_pipeline.service.forked_child import renew_watch
from rag_pipeline.service.server import StatusServer, built, running
from rag_pipeline.status.pipeline import PipelineStatus

_start_lock = native.allocate_lock()  # one start at a time, so that a second one finds the first
_inherited: list[StatusServer] = []


def start_status_server(
    port: int | None = None,
    *,
    host: str | None = None,
    socket_port: int | None = None,
    pipelines: Iterable[PipelineStatus] | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    documents: DocumentSearch | None = None,
) -> StatusServer:
    """Start HTTP on ``port`` (default ``STATUS_PORT`` or 8003) and Socket.IO on ``socket_port`` (default one above).

    Returns once both accept connections. ``port=0`` picks two free ports. If a server of this process already runs on
    the ports, that server is returned, and ``pipelines`` are added to those that were chosen for it.

    Without ``pipelines`` every PipelineStatus of the process is shown, also those created later. With ``state_dir``
    (default ``STATUS_STATE_DIR``) events outlive the process: a pipeline resumes where the last one of its id ended.

    ``documents`` answers ``GET /search``, see STATUS_SEARCH.

    Raises ConfigurationError, PortInUseError or ServiceError, each with one line that names the setting or the port;
    nothing stays half started.
    """
    settings = Settings.from_env(http_port=port, socket_port=socket_port, host=host)
    warn_about_unknown(os.environ)
    if state_dir is not None:
        settings = replace(settings, state_dir=Path(state_dir).expanduser())
    chosen = None if pipelines is None else list(pipelines)
    return launch(lambda: _find_or_start(settings, chosen, documents), StatusServer.let_go, one_at_a_time=_start_lock)


def _find_or_start(
    settings: Settings, chosen: list[PipelineStatus] | None, documents: DocumentSearch | None
) -> StatusServer:
    for server in [server for server in running.copy() if server.serves(settings)]:
        if server.running:
            server.join_in(settings, chosen)
            server.hold()
            return server
        server.stop()  # or wait for the stop that is under way
    return StatusServer(settings, pipelines=chosen, documents=documents).start()


def _stop_all() -> None:
    # Otherwise the last events of a program that simply ends would reach no one.
    for server in list(running):
        server.stop()


def _leave_all_to_parent() -> None:
    global _start_lock
    _start_lock = native.allocate_lock()  # a thread of the parent may have held it
    running.clear()
    renew_watch()
    inherited = list(built)
    _inherited.extend(inherited)  # kept for good: a child must not close what they hold open, such as the journal
    built.clear()
    for server in inherited:
        server.leave_to_parent()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_leave_all_to_parent)
