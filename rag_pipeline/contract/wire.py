"""What goes over the wire: the shape of every event and of every HTTP answer, and what each field means.

The documents at ``/asyncapi.json`` and ``/openapi.json`` are made of these types; a field's meaning is the string below
it, in Markdown. What is not known is null, never missing; what is ``NotRequired`` is there only when it says something.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

KNOWN_STATUSES = ("initializing", "scanning", "idle", "running", "processing", "paused", "error", "stopped", "stalled")


class Says:
    """JSON Schema keywords for what a Python type can't express."""

    def __init__(self, **keywords: object) -> None:
        self.keywords = keywords


Time = Annotated[str, Says(format="date-time")]
"""ISO 8601 in UTC with offset."""
Count = Annotated[int, Says(minimum=0)]
Positive = Annotated[int, Says(minimum=1)]
Amount = Annotated[float, Says(minimum=0)]
Fraction = Annotated[float, Says(minimum=0, maximum=1)]
Port = Annotated[int, Says(minimum=1, maximum=65_535)]
Line = Annotated[str, Says(minLength=1, pattern="^[^\\r\\n]*$")]
"""A text for people, on one line."""
Name = Annotated[str, Says(minLength=1)]
StatusWord = Annotated[str, Says(minLength=1, examples=[*KNOWN_STATUSES])]
Message = Annotated[str, Says(minLength=1, maxLength=1000)]

Namespace = Literal["/google_drive", "/local_files", "/pipeline", "/"]
FileStatus = Literal["processing", "completed", "failed", "skipped", "deleted"]

StatusEventName = Literal["pipeline:status"]
FileEventName = Literal["pipeline:file_processing_started", "pipeline:file_progress"]
FileEndEventName = Literal[
    "pipeline:file_completed", "pipeline:file_failed", "pipeline:file_skipped", "pipeline:file_deleted"
]
EventName = Literal[StatusEventName, FileEventName, FileEndEventName]


# -- the state -----------------------------------------------------------------------------------------------------


class FileError(TypedDict):
    """Why a file failed, or was skipped."""

    type: Name
    """The exception's class; `Skipped` for a skipped file, `Interrupted` for one whose process ended."""
    message: Message
    """For people, cut at 1,000 characters; the reason of a skipped file."""
    stage: Name | None
    """Where it happened."""
    retryable: bool
    """Whether the same can succeed later with nothing changed."""


class File(TypedDict):
    """One file as of its last change."""

    name: Name
    """What the pipeline calls it; bytes that are not UTF-8 show as `\\xNN`."""
    id: Name | None
    """Tells two files of one name apart."""
    size: Count | None
    """Bytes."""
    mime_type: Name | None
    """Its media type, as far as known."""
    link: Name | None
    """Where people find it."""
    attempt: Positive
    """1, or one more than the attempt before, if that failed or was still in flight."""
    started_at: Time | None
    """Null for a file that was completed without being started."""
    stage: Name | None
    """What is done with it, as reported last."""
    progress: Fraction | None
    """How far the stage is, from 0 to 1."""
    last_progress_at: Time | None
    """When stage or progress were reported last."""
    completed_at: Time | None
    """When it was done, failed, skipped or deleted."""
    duration_seconds: Amount | None
    """From start to end, by a clock that no one sets."""
    result: Any
    """What the pipeline said of a completed file: any JSON."""
    error: FileError | None
    """Of a failed or skipped file."""


class Totals(TypedDict):
    """Counts since the pipeline's first file, over restarts too; never trimmed."""

    total_processed: Count
    """Files that were completed."""
    total_failed: Count
    """Attempts that failed."""
    total_skipped: Count
    """Files that needed no work."""
    total_deleted: Count
    """Files whose source is gone."""


class StateSummary(TypedDict):
    """The state of one pipeline without its lists of files; fields that the pipeline sets itself stand beside these."""

    pipeline_id: Name | None
    """Its identity; null in the first status of a namespace that has no pipeline of its type."""
    pipeline_type: Name | None
    """Decides the namespace."""
    status: StatusWord
    """One of the examples, or the pipeline's own; `stalled` is the service's word for a process that went silent."""
    epoch: Name | None
    """Changes when `seq` starts over; null beside a null `pipeline_id`."""
    seq: Count
    """Rises by one with each mutation; 0 before the first report."""
    started_at: Time | None
    """When the pipeline began."""
    last_activity: Time | None
    """Its last mutation."""
    last_check_time: Time | None
    """When the source was looked at."""
    next_check_time: Time | None
    """When it will be looked at again."""
    seconds_until_next_check: Amount | None
    """From the moment of the answer or event on."""
    check_interval: Amount | None
    """Seconds between two looks."""
    is_checking: bool
    """The source is being looked at now."""
    files_in_flight: Count
    """How many files are being worked on."""
    total_processed: Count
    """Files that were completed since the pipeline's first file."""
    total_failed: Count
    """Attempts that failed."""
    total_skipped: Count
    """Files that needed no work."""
    total_deleted: Count
    """Files whose source is gone."""
    files_queued: Count | None
    """Known and waiting."""
    files_per_minute: Amount | None
    """Over the last five minutes; failed and skipped files count as done."""
    eta_seconds: Amount | None
    """For what is queued and in flight at that rate."""


class State(StateSummary):
    """The whole state of one pipeline; fields that the pipeline sets itself stand beside these."""

    files_processing: Annotated[list[File], Says(maxItems=100)]
    """Those in flight, the 100 started last, in the order they started."""
    files_completed: Annotated[list[File], Says(maxItems=10)]
    """The last 10, the newest last."""
    files_failed: Annotated[list[File], Says(maxItems=5)]
    """The last 5, the newest last."""
    files_skipped: Annotated[list[File], Says(maxItems=5)]
    """The last 5, the newest last."""


# -- events --------------------------------------------------------------------------------------------------------


class StatusEvent(State):
    """`pipeline:status`: the whole state. One that sums up carries the `seq` of the state it shows."""

    timestamp: Time
    """When it happened."""
    offset: Name
    """Opaque: where a client that has seen this event goes on from."""
    recovered: NotRequired[bool]
    """To a client that named an offset: whether it has everything since then, or starts afresh."""
    gap: NotRequired[bool]
    """Events are missing before this one; the state it shows is right."""


class AboutFile(TypedDict):
    """Envelope and file of every file event."""

    pipeline_id: Name
    """Which pipeline."""
    pipeline_type: Name | None
    """Decides the namespace."""
    epoch: Name
    """Changes when `seq` starts over."""
    seq: Positive
    """One above the event before of this pipeline."""
    timestamp: Time
    """When it happened."""
    offset: Name
    """Opaque: where a client that has seen this event goes on from."""
    file: File
    """The file, with its stage and progress."""


class FileEvent(AboutFile):
    """`pipeline:file_processing_started`, `pipeline:file_progress`: a file in flight."""

    totals: NotRequired[Totals]
    """The counts after it, with the start of a file that had an outcome before: it counts as in flight alone."""


class FileEndEvent(AboutFile):
    """`pipeline:file_completed`, `…_failed`, `…_skipped`, `…_deleted`: a file that is in flight no more."""

    totals: Totals
    """The counts after it."""


Event = StatusEvent | FileEvent | FileEndEvent


class ConnectAuth(TypedDict):
    """What a client may hand over when it connects to a namespace, as Socket.IO's `auth`."""

    token: NotRequired[str]
    """Who asks, where the service wants to know."""
    offset: NotRequired[str]
    """That of the last event the client saw: it gets what it missed."""
    recovery: NotRequired[bool]
    """Speak Socket.IO's own connection state recovery, with each event's offset as last argument."""
    pid: NotRequired[str]
    """What socket.io-client sends with `recovery` when it comes back."""


class Connected(TypedDict):
    """What a namespace answers to a client that it lets in; the first `pipeline:status` follows."""

    sid: Name
    """The connection's id in this namespace."""
    pid: NotRequired[Name]
    """With `recovery`: the client's own says that it gets what it missed, another one that it starts afresh."""


class RefusalDetails(TypedDict):
    """Why a client is refused, for programs."""

    code: Literal["token_missing", "token_invalid", "token_expired", "namespace_not_allowed", "keys_unavailable"]
    """With `keys_unavailable` the same token may be good in a moment."""


class ConnectRefusal(TypedDict):
    """Why a namespace refuses a client."""

    message: Line
    """For people."""
    data: NotRequired[RefusalDetails]
    """For programs: what socket.io-client shows as `error.data`."""


# The string is python-socketio's own, to a client that connects to one namespace twice.
ConnectError = ConnectRefusal | str


# -- answers -------------------------------------------------------------------------------------------------------


class Status(State):
    """The state of the default pipeline."""

    pipelines: NotRequired[dict[str, State]]
    """All of them by id, when there are several."""


class StatusSummary(StateSummary):
    """The state of the default pipeline, and of all others, without their lists of files."""

    pipelines: NotRequired[dict[str, StateSummary]]
    """All of them by id, when there are several."""


class NoPipelines(TypedDict):
    """What there is to say while there is no pipeline."""

    pipelines: Annotated[dict[str, State], Says(maxProperties=0)]
    """Empty."""


class StatusItem(TypedDict):
    """A status in a page of events."""

    event: StatusEventName
    """The event's name."""
    data: StatusEvent
    """What a Socket.IO client gets with it."""


class FileItem(TypedDict):
    """An event of a file in flight in a page of events."""

    event: FileEventName
    """The event's name."""
    data: FileEvent
    """What a Socket.IO client gets with it."""


class FileEndItem(TypedDict):
    """An event of a file that is in flight no more in a page of events."""

    event: FileEndEventName
    """The event's name."""
    data: FileEndEvent
    """What a Socket.IO client gets with it."""


EventItem = StatusItem | FileItem | FileEndItem


class EventPage(TypedDict):
    """A stretch of what happened, in order."""

    events: Annotated[list[EventItem], Says(maxItems=1000)]
    """Those that have a `seq` of their own."""
    next: Name
    """What to ask with as `since` for what follows, also from a page without events."""
    recovered: bool
    """False when events may be missing between `since` and the first one here."""
    more: bool
    """The next page has something already."""


class FileRow(File):
    """A file as of its last event."""

    status: FileStatus
    """What became of it."""
    pipeline_id: Name
    """Whose it is."""
    changed_at: Time
    """When that was."""
    offset: Name
    """Of its last event; for `before`."""


class FilePage(TypedDict):
    """Files, the one that changed last first."""

    files: Annotated[list[FileRow], Says(maxItems=1000)]
    """Each once."""
    next: Name | None
    """What to give as `before` for the next page; null at the end."""
    complete: bool
    """False when the journal does not know every file: events were dropped, or memory alone keeps it and is full."""


class HttpHealth(TypedDict):
    """The server that answers."""

    status: Literal["ok"]
    """It answers."""
    port: Port
    """Where it listens."""


class SocketIoHealth(TypedDict):
    """The Socket.IO server, asked over its own port."""

    status: Literal["ok", "degraded", "down"]
    """Whether it answers and takes what is published; degraded while it is seconds behind."""
    port: Port
    """Where it listens."""
    answered_in_ms: NotRequired[Amount]
    """How long the answer took."""
    queued: NotRequired[Count]
    """Items that wait to be sent to clients."""
    oldest_waiting_seconds: NotRequired[Amount]
    """How long an item waits until it is sent; while nothing moves, how long the oldest has waited."""
    error: NotRequired[Line]
    """Why it is not ok."""


class JournalHealth(TypedDict):
    """What keeps the events."""

    kind: Literal["memory", "sqlite", "redis"]
    """Where they are kept."""
    status: Literal["ok", "degraded", "down"]
    """Degraded: what is kept may not outlive the process, or it is seconds behind; down: it takes nothing."""
    error: NotRequired[Line]
    """Why it is not ok."""
    oldest_waiting_seconds: NotRequired[Amount]
    """How long an event waits until it is kept and sent; while nothing moves, how long the oldest has waited."""
    events: NotRequired[Count]
    """How many are kept."""
    bytes: NotRequired[Count]
    """Their size on disk."""
    redis: NotRequired[Name]
    """Host, port and database."""
    queued: NotRequired[Count]
    """Events of this process that wait for Redis."""
    dropped: NotRequired[Count]
    """How many were dropped since the start because too many waited."""


Action = Literal["pause", "resume", "check", "retry", "cancel", "confirm"]
"""What a pipeline can be asked for."""


class PipelineHealth(TypedDict):
    """A pipeline's last sign of life."""

    status: Name
    """As in its state."""
    last_activity: Time | None
    """As in its state."""
    actions: NotRequired[list[Action]]
    """What this service lets it be asked for; missing where that is nothing."""


ClientCounts = dict[Literal["total", "/google_drive", "/local_files", "/pipeline"], Count]
"""Connections as ``total``, subscriptions by namespace: one connection can be in several. Those to ``/`` count as
``/pipeline``."""


class Health(TypedDict):
    """How all parts are."""

    status: Literal["ok", "degraded", "down"]
    """The worst of the parts."""
    http: HttpHealth
    """This server."""
    socket_io: SocketIoHealth
    """The other one."""
    clients: ClientCounts | None
    """Connections as `total`, the others are subscriptions; null when the Socket.IO server is down."""
    clients_dropped: Count | None
    """Clients disconnected for their backlog since the start."""
    journal: JournalHealth
    """What keeps the events."""
    pipelines: dict[str, PipelineHealth]
    """By id."""
    uptime_seconds: Amount
    """Since the service started."""


class HealthBrief(TypedDict):
    """What is said to who has no token."""

    status: Literal["ok", "degraded", "down"]
    """The word for all parts together."""


class SocketServerHealth(TypedDict):
    """What `/health` on the Socket.IO server's own port says."""

    status: Literal["ok"]
    """It answers."""
    clients: ClientCounts
    """Connections as `total`, the others are subscriptions."""
    clients_dropped: Count
    """Clients disconnected for their backlog since the start."""


class ControlAnswer(TypedDict):
    """What a pipeline was asked for: it comes to it as soon as it can, and its state shows it."""

    pipeline_id: Name
    """The pipeline that was asked."""
    action: Action
    """What for."""
    file: Name | None
    """The id of the file it is about; null for what is about the whole pipeline."""


class Error(TypedDict):
    """Every answer that is no success."""

    error: Line
    """What is wrong, for people."""


OPEN = (StateSummary, State, StatusEvent, Status, StatusSummary)
"""The shapes that a pipeline's own fields stand in; all others have exactly what they name."""
