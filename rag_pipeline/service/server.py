"""The service: builds the parts, starts and stops them in a stated order, and knows what they show."""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rag_pipeline import __version__
from rag_pipeline.access import startup_warnings
from rag_pipeline.access.guard import guard_of
from rag_pipeline.access.hosts import HostPolicy
from rag_pipeline.access.origins import OriginPolicy
from rag_pipeline.common import descriptors, native
from rag_pipeline.common.config import Settings
from rag_pipeline.common.lifecycle import Ending, Holders, Step, launch
from rag_pipeline.common.listener import resolve
from rag_pipeline.common.private_files import make_private_folder, warn_if_open
from rag_pipeline.common.probe import reachable
from rag_pipeline.errors import ConfigurationError, JournalError
from rag_pipeline.http_server import HttpServer
from rag_pipeline.http_server.answers import Answer, Health, Request, answer
from rag_pipeline.http_server.handler import Limits
from rag_pipeline.journal.backend import Keeper
from rag_pipeline.journal.sqlite.journal import SqliteJournal
from rag_pipeline.service.forked import OnceForAll, begin_unheard, end_unheard, renew_unheard
from rag_pipeline.service.recall import Recall
from rag_pipeline.service.shown import Shown
from rag_pipeline.socket_server import SocketServer
from rag_pipeline.status import PipelineStatus, StatusCore, core_of, pipeline_status, registry

if TYPE_CHECKING:
    from rag_pipeline.journal.redis.backend import RedisKeeper

logger = logging.getLogger("rag_pipeline.service")

JOURNAL_NAME = "journal.sqlite3"
JOURNAL_STOP_SECONDS = 10.0
_SAID_AS = {"state_dir": "state_dir (STATUS_STATE_DIR)"}


class StatusServer:
    """Both servers and the pipelines they show. Start it with :func:`start_status_server`.

    Starting: 1. both ports are bound, HTTP first; the soft limit of open files is raised to the hard one; 2. the keys
    that tokens are signed with are asked for; 3. the journal is opened; 4. the pipelines are attached; 5. the Socket.IO
    thread starts and answers; 6. the HTTP thread starts; 7. pipelines whose ids another process has, dead or alive, are
    attached once that is known to be dead (Redis).
    What fails on the way ends what was started before.

    It is a context manager: the end of the block stops the server, unless another call of start_status_server that
    returned this server still holds it, or the block is nested in another one. :meth:`stop` stops it in any case.
    """

    def __init__(
        self, settings: Settings, *, pipelines: Iterable[PipelineStatus] | None = None, direct: bool = True
    ) -> None:
        self._settings = settings
        self._chosen = None if pipelines is None else [core_of(pipeline) for pipeline in pipelines]
        self._attached: dict[int, StatusCore] = {}
        self._holders = Holders()
        self._told: set[tuple[str, ...]] = set()
        self._guard = guard_of(settings.auth)
        with ExitStack() as undo:
            self._http = HttpServer(settings.host, settings.http_port, limits=Limits(streams=settings.event_streams))
            undo.callback(self._http.stop)
            self._policy = OriginPolicy(settings, self._http.port)
            self._hosts = HostPolicy(settings, self._http.address, token_required=self._guard.required)
            self._keeper = _keeper_of(settings)
            undo.callback(self._keeper.stop)
            self._sockets = SocketServer(
                settings,
                self._policy,
                self.pipelines,
                self._keeper,
                direct=direct,
                guard=self._guard,
                hosts=self._hosts,
            )
            undo.callback(self._sockets.stop)
            self._once_for_all = OnceForAll()
            undo.pop_all()
        self.host: str = settings.host
        self.http_port: int = self._http.port
        self.socket_port: int = self._sockets.port
        self._shown = Shown(
            self._http.port,
            self._sockets,
            self._keeper,
            self.pipelines,
            Recall(self._keeper, self._sockets.hub, settings.backlog_limit_bytes),
            version=__version__,
            controllable=settings.control,
        )
        self._started = False
        self._ending = Ending(
            [
                Step("the HTTP server", self._stop_http, 5.0),
                Step("the pipelines", self._release_pipelines, 2.0),
                Step("the journal", self._keeper.stop, JOURNAL_STOP_SECONDS),
                Step("the Socket.IO server", self._sockets.stop, 8.0),
                Step("the service", self._forget, 1.0),
            ]
        )
        _built.add(self)

    # -- life ------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of the HTTP server on this machine, such as ``http://127.0.0.1:8003``."""
        host = reachable(self._sockets.address)
        return f"http://[{host}]:{self.http_port}" if ":" in host else f"http://{host}:{self.http_port}"

    @property
    def running(self) -> bool:
        """Whether both servers run, and nobody has asked for the stop."""
        return self._started and not self._ending.begun and self._http.running and self._sockets.alive

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped" if self._ending.over or not self._started else "stopping"
        count = len(self.pipelines())
        shown = f"{count} pipeline" + ("" if count == 1 else "s")
        return f"<StatusServer {self.url}, Socket.IO on port {self.socket_port}, {state}, {shown}>"

    def start(self) -> Self:
        """Start both servers; return once both answer."""
        try:
            end_unheard()
            descriptors.raise_soft_limit()
            self._guard.start()
            self._keeper.start()
            held = self._attach_all()
            self._sockets.start()
            self._http.start(self._respond)
            self._attach_held(held)
        except BaseException:
            self.stop()
            raise
        self._started = True
        self._holders.take()
        _running.add(self)
        exposed = startup_warnings.warning(self._sockets.address, self._guard, control=self._settings.control)
        for line in (self._policy.describe(), exposed):
            if line is not None:
                logger.warning("%s", line)
        return self

    def stop(self) -> None:
        """Stop within seconds; idempotent, and safe against an exception that is raised into it.

        1. The HTTP server ends, and no key is fetched any more; 2. each pipeline publishes what it held back, and is
        let go; 3. the journal takes what is queued, and is closed; 4. the Socket.IO server sends what is queued, says
        goodbye to its clients and ends; 5. the service is forgotten: a new start on its ports makes a new one.

        The steps run on threads of their own. One that hangs, as on a disk that does not answer, is left behind with
        one line in the log; an interrupted call leaves the rest to those threads, and the next call waits for them.
        """
        self._ending.run()

    def __enter__(self) -> Self:
        self._holders.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._holders.exit():
            self.stop()

    def _stop_http(self) -> None:
        self._http.stop()
        self._guard.stop()

    def _release_pipelines(self) -> None:
        registry.unwatch(self._attach)
        for pipeline in list(self._attached.values()):
            pipeline.flush(everything=True)
            pipeline.detach(self._sockets.entrance)

    def _forget(self) -> None:
        _running.discard(self)
        self._once_for_all.close()

    def leave_to_parent(self) -> None:
        """Become a stopped server in a forked child, where none of its threads is."""
        self._ending = Ending()
        if self._started:
            self._started = False
            begin_unheard(self._once_for_all, self._attached.values(), later=self._chosen is None)

    # -- a second start --------------------------------------------------------------------------------------------

    def serves(self, settings: Settings) -> bool:
        """Return whether a start with these settings would need the ports of this server."""
        ports = (settings.http_port, settings.socket_port)
        if 0 in ports or ports != (self.http_port, self.socket_port):
            return False
        _, address = resolve(settings.host, settings.socket_port)
        return bool(address[0] == self._sockets.address)

    def hold(self) -> None:
        """Count one more call of start_status_server that returned this server."""
        self._holders.take()

    def let_go(self) -> None:
        """Take :meth:`hold` back; the last one stops the server."""
        if self._holders.give_back():
            self.stop()

    def join_in(self, settings: Settings, chosen: Sequence[PipelineStatus] | None) -> None:
        """Show the pipelines of a second start too, and say once what else of it is ignored."""
        ignored = [
            _SAID_AS.get(field.name, field.name)
            for field in fields(Settings)
            if field.name not in ("host", "http_port", "socket_port")
            and getattr(settings, field.name) != getattr(self._settings, field.name)
        ]
        if chosen is None or self._chosen is None:
            ignored += ["pipelines"] if (chosen is None) != (self._chosen is None) else []
        else:
            known = {pipeline.created for pipeline in self._chosen}
            cores = [core_of(pipeline) for pipeline in chosen]
            self._attach_held(self._attach_chosen([core for core in cores if core.created not in known]))
        if ignored and tuple(ignored) not in self._told:
            self._told.add(tuple(ignored))
            logger.warning(
                "a server runs on %s already, and is what start_status_server returned; ignored, until it is stopped: "
                "%s",
                self.url,
                ", ".join(ignored),
            )

    # -- pipelines -------------------------------------------------------------------------------------------------

    def pipelines(self) -> list[StatusCore]:
        """Return the pipelines to be shown, the default one first.

        The process-wide default is shown once it has reported, or while there is no other.
        """
        alive = [p for p in self._attached.copy().values() if not p.closed]
        if self._chosen is not None:
            return alive
        default = core_of(pipeline_status)
        others = sorted((p for p in alive if p is not default), key=lambda p: p.created)
        return [default, *others] if default.reported or not others else others

    def _attach_all(self) -> list[StatusCore]:
        """Attach the pipelines; return those whose ids another process may still have."""
        if self._chosen is not None:
            chosen, self._chosen = self._chosen, []
            return self._attach_chosen(chosen)
        self._attach(core_of(pipeline_status))
        for pipeline in registry.watch(self._attach):
            self._attach(pipeline)
        return []

    def _attach_held(self, pipelines: list[StatusCore]) -> None:
        self._keeper.wait_for_claims([pipeline.pipeline_id for pipeline in pipelines])
        for pipeline in pipelines:
            self._attach(pipeline)

    def _attach_chosen(self, pipelines: list[StatusCore]) -> list[StatusCore]:
        """Attach those whose ids are free; return the others."""
        assert self._chosen is not None
        held = self._keeper.claim([pipeline.pipeline_id for pipeline in pipelines])
        for pipeline in pipelines:
            self._chosen.append(pipeline)
            if pipeline.pipeline_id not in held:
                self._attach(pipeline)
        return [pipeline for pipeline in pipelines if pipeline.pipeline_id in held]

    def _attach(self, pipeline: StatusCore) -> None:
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
        return answer(request, self._shown, self._policy, self._guard, self._hosts)


def start_status_server(
    port: int | None = None,
    *,
    host: str | None = None,
    socket_port: int | None = None,
    pipelines: Iterable[PipelineStatus] | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> StatusServer:
    """Start HTTP on ``port`` (default ``STATUS_PORT`` or 8003) and Socket.IO on ``socket_port`` (default one above).

    Returns once both accept connections. ``port=0`` picks two free ports. On the ports of a server that runs in this
    process it returns that server, and adds ``pipelines`` to those that were chosen for it.

    Without ``pipelines`` every PipelineStatus of the process is shown, also those made later. With ``state_dir``
    (default ``STATUS_STATE_DIR``) events outlive the process: a pipeline resumes where the last one of its id ended.

    Raises ConfigurationError, PortInUseError or ServiceError, each with one line that names the setting or the port;
    nothing stays half started.
    """
    settings = Settings.from_env(http_port=port, socket_port=socket_port, host=host)
    if state_dir is not None:
        settings = replace(settings, state_dir=Path(state_dir).expanduser())
    chosen = None if pipelines is None else list(pipelines)
    return launch(lambda: _find_or_start(settings, chosen), StatusServer.let_go, one_at_a_time=_start_lock)


def _find_or_start(settings: Settings, chosen: list[PipelineStatus] | None) -> StatusServer:
    for server in [server for server in _running.copy() if server.serves(settings)]:
        if server.running:
            server.join_in(settings, chosen)
            server.hold()
            return server
        server.stop()  # or wait for the stop that is under way
    return StatusServer(settings, pipelines=chosen).start()


def _keeper_of(settings: Settings) -> Keeper | RedisKeeper:
    """Return what keeps the events: Redis, or the state folder, or memory alone."""
    if settings.redis_url is not None:
        if importlib.util.find_spec("redis") is None:
            raise ConfigurationError('STATUS_REDIS_URL needs redis-py: pip install "rag-pipeline[redis]"')
        from rag_pipeline.journal.redis.address import Address
        from rag_pipeline.journal.redis.backend import RedisKeeper

        try:
            Address(settings.redis_url)
        except JournalError as error:  # which does not repeat the URL: there may be a password in it
            raise ConfigurationError(f"STATUS_REDIS_URL: {error}") from None
        return RedisKeeper(settings.redis_url, heartbeat_seconds=settings.heartbeat_seconds)
    folder = settings.state_dir
    return Keeper() if folder is None else Keeper(lambda: _open_journal(folder))


def _open_journal(folder: Path) -> SqliteJournal:
    try:
        make_private_folder(folder)
    except OSError as error:
        raise JournalError(f"the state folder {folder} can't be made ({error.strerror})") from None
    warn_if_open(folder)
    return SqliteJournal(folder / JOURNAL_NAME)


# What start_status_server finds: those that have been started and not wholly stopped.
_running: set[StatusServer] = set()
_built: weakref.WeakSet[StatusServer] = weakref.WeakSet()
_start_lock = native.allocate_lock()  # one start at a time, so that a second one finds the first
_inherited: list[StatusServer] = []


def _stop_all() -> None:
    # The last events of a program that just ends would otherwise not reach anyone.
    for server in list(_running):
        server.stop()


def _leave_all_to_parent() -> None:
    global _start_lock
    _start_lock = native.allocate_lock()  # a thread of the parent may have held it
    _running.clear()
    renew_unheard()
    inherited = list(_built)
    _inherited.extend(inherited)  # for good: what they hold open, such as the journal, is not closed in a child
    _built.clear()
    for server in inherited:
        server.leave_to_parent()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_leave_all_to_parent)
