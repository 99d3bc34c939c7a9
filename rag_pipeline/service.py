"""The service: builds the parts, starts and stops them in a stated order, and knows what they show."""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rag_pipeline import __version__, native
from rag_pipeline.access import exposure
from rag_pipeline.access.guard import guard_of
from rag_pipeline.config import Settings
from rag_pipeline.errors import ConfigurationError, JournalError
from rag_pipeline.http_server import HttpServer
from rag_pipeline.http_server.answers import Answer, Health, Request, answer
from rag_pipeline.journal.keeper import Keeper
from rag_pipeline.journal.sqlite import SqliteJournal
from rag_pipeline.origins import OriginPolicy
from rag_pipeline.recall import Recall
from rag_pipeline.shown import Shown
from rag_pipeline.socket_server import SocketServer
from rag_pipeline.status import PipelineStatus, pipeline_status, registry

if TYPE_CHECKING:
    from rag_pipeline.journal.redis_keeper import RedisKeeper

logger = logging.getLogger("rag_pipeline.service")

JOURNAL_NAME = "journal.sqlite3"


class StatusServer:
    """Both servers and the pipelines they show. Start it with :func:`start_status_server`.

    Starting: 1. both ports are bound, HTTP first; 2. the keys that tokens are signed with are asked for; 3. the journal
    is opened; 4. the pipelines are attached; 5. the Socket.IO thread starts and answers; 6. the HTTP thread starts;
    7. pipelines whose ids another process has, dead or alive, are attached once that is known to be dead (Redis).
    What fails on the way ends what was started before.
    """

    def __init__(
        self, settings: Settings, *, pipelines: Iterable[PipelineStatus] | None = None, direct: bool = True
    ) -> None:
        self._settings = settings
        self._chosen = None if pipelines is None else list(pipelines)
        self._attached: dict[int, PipelineStatus] = {}
        self._stop_lock = native.RLock()
        self._stopped = False
        self._guard = guard_of(settings.auth)
        self._http = HttpServer(settings.host, settings.http_port)
        try:
            self.http_port: int = self._http.port
            self._policy = OriginPolicy(settings, self.http_port)
            self._keeper = _keeper_of(settings)
            try:
                self._sockets = SocketServer(
                    settings, self._policy, self.pipelines, self._keeper, direct=direct, guard=self._guard
                )
            except BaseException:
                self._keeper.stop()
                raise
        except BaseException:
            self._http.stop()
            raise
        self.socket_port: int = self._sockets.port
        recall = Recall(self._keeper, self._sockets.hub, settings.backlog_limit_bytes)
        self._shown = Shown(
            settings.host,
            self._http.port,
            self._sockets,
            self._keeper,
            self.pipelines,
            recall,
            version=__version__,
            controllable=settings.control,
        )
        self.host: str = settings.host

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start both servers; return once both answer."""
        try:
            self._guard.start()
            self._keeper.start()
            held = self._attach_all()
            self._sockets.start()
            self._http.start(self._respond)
            self._attach_held(held)
        except BaseException:
            self.stop()
            raise
        _running.add(self)
        exposed = exposure.warning(self._sockets.address, self._guard, control=self._settings.control)
        for line in (self._policy.describe(), exposed):
            if line is not None:
                logger.warning("%s", line)
        return self

    def stop(self) -> None:
        """Stop within seconds; idempotent.

        1. The HTTP server ends, and no key is fetched any more; 2. each pipeline publishes what it held back, and is
        let go; 3. the journal takes what is queued, and is closed; 4. the Socket.IO server sends what is queued, says
        goodbye to its clients and ends.
        """
        with self._stop_lock:
            if self._stopped:
                return
            self._stopped = True
            _running.discard(self)
            registry.unwatch(self._attach)
            self._http.stop()
            self._guard.stop()
            for pipeline in list(self._attached.values()):
                pipeline.flush(everything=True)
                pipeline.detach(self._sockets.entrance)
            self._keeper.stop()
            self._sockets.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- pipelines -------------------------------------------------------------------------------------------------

    def pipelines(self) -> list[PipelineStatus]:
        """Return the pipelines to be shown, the default one first.

        The process-wide default is shown once it has reported, or while there is no other.
        """
        alive = [p for p in self._attached.copy().values() if not p.closed]
        if self._chosen is not None:
            return alive
        others = sorted((p for p in alive if p is not pipeline_status), key=lambda p: p.created)
        return [pipeline_status, *others] if pipeline_status.reported or not others else others

    def _attach_all(self) -> list[PipelineStatus]:
        """Attach the pipelines; return those whose ids another process may still have."""
        if self._chosen is not None:
            held = self._keeper.claim([pipeline.pipeline_id for pipeline in self._chosen])
            for pipeline in self._chosen:
                if pipeline.pipeline_id not in held:
                    self._attach(pipeline)
            return [pipeline for pipeline in self._chosen if pipeline.pipeline_id in held]
        self._attach(pipeline_status)
        for pipeline in registry.watch(self._attach):
            self._attach(pipeline)
        return []

    def _attach_held(self, pipelines: list[PipelineStatus]) -> None:
        self._keeper.wait_for_claims([pipeline.pipeline_id for pipeline in pipelines])
        for pipeline in pipelines:
            self._attach(pipeline)

    def _attach(self, pipeline: PipelineStatus) -> None:
        # A pipeline that serves is held, so that one whose owner lets go of it at its end is still shown.
        for created, former in self._attached.copy().items():
            if former.closed:  # shown no more: a program that makes pipelines as it goes must not grow
                self._attached.pop(created, None)
        self._attached[pipeline.created] = pipeline
        pipeline.attach(self._sockets.entrance, self._keeper.restore)

    # -- what it shows ---------------------------------------------------------------------------------------------

    def status(self) -> Mapping[str, object]:
        """Return what ``GET /status`` answers."""
        return self._shown.status()

    def health(self) -> Health:
        """Return what ``GET /health`` answers."""
        return self._shown.health()

    def _respond(self, request: Request) -> Answer:
        return answer(request, self._shown, self._policy, self._guard)


def start_status_server(
    port: int | None = None,
    *,
    host: str | None = None,
    socket_port: int | None = None,
    pipelines: Iterable[PipelineStatus] | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> StatusServer:
    """Start HTTP on ``port`` (default ``STATUS_PORT`` or 8003) and Socket.IO on ``socket_port`` (default one above).

    Returns once both accept connections. ``port=0`` picks two free ports. Without ``pipelines`` every PipelineStatus
    of the process is shown, also those made later. With ``state_dir`` (default ``STATUS_STATE_DIR``) events outlive the
    process: a pipeline goes on from where the last one of its id ended.

    Raises ConfigurationError, PortInUseError or ServiceError, each with one line that names the setting or the port;
    nothing stays half started.
    """
    settings = Settings.from_env(http_port=port, socket_port=socket_port, host=host)
    if state_dir is not None:
        settings = replace(settings, state_dir=Path(state_dir).expanduser())
    return StatusServer(settings, pipelines=pipelines).start()


def _keeper_of(settings: Settings) -> Keeper | RedisKeeper:
    """Return what keeps the events: Redis, or the state folder, or memory alone."""
    if settings.redis_url is not None:
        if importlib.util.find_spec("redis") is None:
            raise ConfigurationError('STATUS_REDIS_URL needs redis-py: pip install "rag-pipeline[redis]"')
        from rag_pipeline.journal.redis_address import Address
        from rag_pipeline.journal.redis_keeper import RedisKeeper

        try:
            Address(settings.redis_url)
        except JournalError as error:  # which does not repeat the URL: there may be a password in it
            raise ConfigurationError(f"STATUS_REDIS_URL: {error}") from None
        return RedisKeeper(settings.redis_url, heartbeat_seconds=settings.heartbeat_seconds)
    folder = settings.state_dir
    return Keeper() if folder is None else Keeper(lambda: _open_journal(folder))


def _open_journal(folder: Path) -> SqliteJournal:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"the state folder {folder} can't be made ({error.strerror})") from None
    return SqliteJournal(folder / JOURNAL_NAME)


_running: weakref.WeakSet[StatusServer] = weakref.WeakSet()


def _stop_all() -> None:
    # The last events of a program that just ends would otherwise not reach anyone.
    for server in list(_running):
        server.stop()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_running.clear)
