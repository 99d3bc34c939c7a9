"""Wire types: the shape of every event and of every HTTP answer, with a description of each field.

The documents at ``/asyncapi.json`` and ``/openapi.json`` are generated from these types. The string below a field is
its description, in Markdown. Unknown values are null, never missing; a ``NotRequired`` field is present only if it
applies.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

KNOWN_STATUSES = ("initializing", "scanning", "idle", "running", "processing", "paused", "error", "stopped", "stalled")


class Constraint:
    """JSON Schema keywords that a Python type can't express."""

    def __init__(self, **keywords: object) -> None:
        self.keywords = keywords


Time = Annotated[str, Constraint(format="date-time")]
"""ISO 8601 in UTC with offset."""
Count = Annotated[int, Constraint(minimum=0)]
Positive = Annotated[int, Constraint(minimum=1)]
Amount = Annotated[float, Constraint(minimum=0)]
Fraction = Annotated[float, Constraint(minimum=0, maximum=1)]
Port = Annotated[int, Constraint(minimum=1, maximum=65_535)]
Line = Annotated[str, Constraint(minLength=1, pattern="^[^\\r\\n]*$")]
"""One line of text for people."""
Name = Annotated[str, Constraint(minLength=1)]
StatusWord = Annotated[str, Constraint(minLength=1, examples=[*KNOWN_STATUSES])]
Message = Annotated[str, Constraint(minLength=1, maxLength=1000)]
WarningType = Annotated[str, Constraint(minLength=1, maxLength=64)]
WarningMessage = Annotated[str, Constraint(minLength=1, maxLength=300)]
Quality = dict[str, float | None]
"""Figures about a file's text, by name."""

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
    """The exception's class; `Skipped` for a skipped file, `Interrupted` if the process ended."""
    message: Message
    """For people, cut to 1,000 characters; the reason of a skipped file."""
    stage: Name | None
    """The stage in which it happened."""
    retryable: bool
    """Whether another attempt can succeed without a change by the user."""


class FileWarning(TypedDict):
    """A fault of a completed file that did not stop the work."""

    type: WarningType
    """A short fixed word, such as `pages_without_text`."""
    message: WarningMessage
    """For people, cut to 300 characters."""
    count: Positive
    """The number of cases."""


class File(TypedDict):
    """One file as of its last change."""

    name: Name
    """The pipeline's name for it; bytes that are not UTF-8 are written as `\\xNN`."""
    id: Name | None
    """Distinguishes files of the same name."""
    size: Count | None
    """In bytes."""
    mime_type: Name | None
    """Its media type, if known."""
    link: Name | None
    """A link to it, for people."""
    attempt: Positive
    """1, or one more than the last attempt if that failed or was still in flight."""
    started_at: Time | None
    """Null if it was completed without being started."""
    stage: Name | None
    """The stage reported last."""
    progress: Fraction | None
    """Progress within the stage, from 0 to 1."""
    last_progress_at: Time | None
    """When stage or progress was reported last."""
    completed_at: Time | None
    """When it was completed, failed, skipped or deleted."""
    duration_seconds: Amount | None
    """From start to end, by a monotonic clock."""
    result: Any
    """The pipeline's result of a completed file: any JSON."""
    error: FileError | None
    """Why it failed or was skipped."""
    warnings: Annotated[list[FileWarning], Constraint(maxItems=20)]
    """The warnings of a completed file; empty for any other."""
    quality: Quality | None
    """Figures about a completed file's text, at most 20. The built-in pipelines report `characters`, `odd_characters`
    (the share that is not readable text, 0 to 1), `pages` and `pages_without_text` (null for formats without pages)."""


class Totals(TypedDict):
    """Counts of files by their newest outcome, since the pipeline's first file; restarts keep them."""

    total_processed: Count
    """Files that completed."""
    total_failed: Count
    """Files that failed."""
    total_skipped: Count
    """Files that needed no work."""
    total_deleted: Count
    """Files whose source is gone."""
    total_with_warnings: Count
    """Completed files that have warnings; they count in `total_processed` too."""


class StateSummary(TypedDict):
    """The state of one pipeline without its lists of files; the pipeline's own fields are beside these."""

    pipeline_id: Name | None
    """Its id; null in the first status of a namespace without a pipeline."""
    pipeline_type: Name | None
    """Determines the namespace."""
    status: StatusWord
    """One of the examples, or the pipeline's own; the service sets `stalled` if the process went silent."""
    epoch: Name | None
    """Changes when `seq` starts over; null if `pipeline_id` is null."""
    seq: Count
    """Rises by one with each mutation; 0 before the first report."""
    started_at: Time | None
    """When the pipeline began."""
    last_activity: Time | None
    """The time of its last mutation."""
    last_check_time: Time | None
    """When the source was checked last."""
    next_check_time: Time | None
    """When the source will be checked next."""
    seconds_until_next_check: Amount | None
    """Counted from the time of the answer or event."""
    check_interval: Amount | None
    """Seconds between two checks."""
    is_checking: bool
    """Whether the source is being checked now."""
    files_in_flight: Count
    """Number of files being processed."""
    total_processed: Count
    """Files that completed since the pipeline's first file."""
    total_failed: Count
    """Files that failed."""
    total_skipped: Count
    """Files that needed no work."""
    total_deleted: Count
    """Files whose source is gone."""
    total_with_warnings: Count
    """Completed files that have warnings; they count in `total_processed` too."""
    files_queued: Count | None
    """Number of known files that wait."""
    files_per_minute: Amount | None
    """Over the last five minutes; failed and skipped files count as done."""
    eta_seconds: Amount | None
    """Time for the queued files and those in flight at that rate."""


class State(StateSummary):
    """The whole state of one pipeline; the pipeline's own fields are beside these."""

    files_processing: Annotated[list[File], Constraint(maxItems=100)]
    """The files in flight, at most the 100 started last, in the order of their start."""
    files_completed: Annotated[list[File], Constraint(maxItems=10)]
    """The last 10, the newest last."""
    files_failed: Annotated[list[File], Constraint(maxItems=5)]
    """The last 5, the newest last."""
    files_skipped: Annotated[list[File], Constraint(maxItems=5)]
    """The last 5, the newest last."""


# -- events --------------------------------------------------------------------------------------------------------


class StatusEvent(State):
    """`pipeline:status`: the whole state. If it only repeats the state, it has the `seq` of that state."""

    timestamp: Time
    """The time of the event."""
    offset: Name
    """Opaque: a client that has this event can resume from here."""
    recovered: NotRequired[bool]
    """For a client that sent an offset: true if it gets all events since then, false if it starts over."""
    gap: NotRequired[bool]
    """Events before this one are missing; its state is right."""


class AboutFile(TypedDict):
    """Envelope and file of every file event."""

    pipeline_id: Name
    """The pipeline's id."""
    pipeline_type: Name | None
    """Determines the namespace."""
    epoch: Name
    """Changes when `seq` starts over."""
    seq: Positive
    """One more than that of the pipeline's event before."""
    timestamp: Time
    """The time of the event."""
    offset: Name
    """Opaque: a client that has this event can resume from here."""
    file: File
    """The file, with its stage and progress."""


class FileEvent(AboutFile):
    """`pipeline:file_processing_started`, `pipeline:file_progress`: a file in flight."""

    totals: NotRequired[Totals]
    """The new counts, if the started file had an outcome before: it then counts only as in flight."""


class FileEndEvent(AboutFile):
    """`pipeline:file_completed`, `…_failed`, `…_skipped`, `…_deleted`: the end of a file."""

    totals: Totals
    """The counts after the event."""


Event = StatusEvent | FileEvent | FileEndEvent


class ConnectAuth(TypedDict):
    """Data that a client can send when it connects to a namespace, as Socket.IO's `auth`."""

    token: NotRequired[str]
    """The client's token, if the service requires one."""
    offset: NotRequired[str]
    """The offset of the last event that the client got: it gets all events since then."""
    recovery: NotRequired[bool]
    """Use Socket.IO's connection state recovery, with each event's offset as its last argument."""
    pid: NotRequired[str]
    """Sent by socket.io-client with `recovery` when it reconnects."""


class Connected(TypedDict):
    """The answer of a namespace that accepts the client; the first `pipeline:status` follows."""

    sid: Name
    """The connection's id in this namespace."""
    pid: NotRequired[Name]
    """With `recovery`: the client's own `pid` if it gets all events since its offset, a new one if it starts over."""


class RefusalDetails(TypedDict):
    """Why a client is refused, for programs."""

    code: Literal["token_missing", "token_invalid", "token_expired", "namespace_not_allowed", "keys_unavailable"]
    """After `keys_unavailable`, the same token may be accepted soon."""


class ConnectRefusal(TypedDict):
    """Why a namespace refuses a client."""

    message: Line
    """For people."""
    data: NotRequired[RefusalDetails]
    """For programs: socket.io-client has it as `error.data`."""


# The string is python-socketio's, for a client that connects to one namespace twice.
ConnectError = ConnectRefusal | str


# -- answers -------------------------------------------------------------------------------------------------------


class Status(State):
    """The state of the default pipeline."""

    pipelines: NotRequired[dict[str, State]]
    """All pipelines by id, if there are several."""


class StatusSummary(StateSummary):
    """The state of the default pipeline, and of all others, without lists of files."""

    pipelines: NotRequired[dict[str, StateSummary]]
    """All pipelines by id, if there are several."""


class NoPipelines(TypedDict):
    """The answer while there is no pipeline."""

    pipelines: Annotated[dict[str, State], Constraint(maxProperties=0)]
    """Empty."""


class StatusItem(TypedDict):
    """A status in a page of events."""

    event: StatusEventName
    """The event's name."""
    data: StatusEvent
    """The payload, as a Socket.IO client gets it."""


class FileItem(TypedDict):
    """An event of a file in flight in a page of events."""

    event: FileEventName
    """The event's name."""
    data: FileEvent
    """The payload, as a Socket.IO client gets it."""


class FileEndItem(TypedDict):
    """The end of a file in a page of events."""

    event: FileEndEventName
    """The event's name."""
    data: FileEndEvent
    """The payload, as a Socket.IO client gets it."""


EventItem = StatusItem | FileItem | FileEndItem


class EventPage(TypedDict):
    """A page of events, in order."""

    events: Annotated[list[EventItem], Constraint(maxItems=1000)]
    """The events with a `seq` of their own."""
    next: Name
    """The value of `since` for the next page, also of a page without events."""
    recovered: bool
    """False if events may be missing between `since` and the first event here."""
    more: bool
    """Whether the next page has events already."""


class FileRow(File):
    """A file as of its last event."""

    status: FileStatus
    """Its newest outcome, or `processing`."""
    pipeline_id: Name
    """The pipeline's id."""
    changed_at: Time
    """The time of that event."""
    offset: Name
    """The offset of its last event, for `before`."""


class FilePage(TypedDict):
    """Files, the one that changed last first."""

    files: Annotated[list[FileRow], Constraint(maxItems=1000)]
    """Each file once."""
    next: Name | None
    """The value of `before` for the next page; null at the end."""
    complete: bool
    """False if the journal lacks files: events were dropped, or the journal is in memory only and full."""


class SearchResult(TypedDict):
    """A piece of a stored document."""

    pipeline_id: str
    """The pipeline that stored it, or the name of its documents in the store if the service does not know it."""
    file_id: str
    """The file's id."""
    name: str
    """The file's name."""
    uri: str
    """Where the file is."""
    mime_type: str | None
    """The file's MIME type."""
    place: str
    """Where in the file the text is, such as `page 3`; may be empty."""
    text: str
    """The text."""
    score: Annotated[float, Constraint(minimum=0, maximum=1)]
    """1 is first both by words and by meaning."""
    words: Annotated[float, Constraint(minimum=0)]
    """The BM25 score of the question's words; 0 if none occurs."""
    vector: Annotated[float, Constraint(minimum=-1, maximum=1)]
    """The cosine of the question and the text."""


class SearchAnswer(TypedDict):
    """The texts that answer a question, best first."""

    results: Annotated[list[SearchResult], Constraint(maxItems=100)]
    """Empty if nothing is near."""


class HttpHealth(TypedDict):
    """The HTTP server, which answers."""

    status: Literal["ok"]
    """Always `ok`, because it answers."""
    port: Port
    """The port it listens on."""


class SocketIoHealth(TypedDict):
    """The Socket.IO server, checked over its own port."""

    status: Literal["ok", "degraded", "down"]
    """Whether it answers and processes events; degraded while it is seconds behind."""
    port: Port
    """The port it listens on."""
    answered_in_ms: NotRequired[Amount]
    """The time until its answer."""
    queued: NotRequired[Count]
    """Items that wait to be sent to clients."""
    oldest_waiting_seconds: NotRequired[Amount]
    """Seconds that an item waits until it is sent; if none is sent, those that the oldest has waited."""
    error: NotRequired[Line]
    """Why it is not ok."""


class JournalHealth(TypedDict):
    """The journal, which keeps the events."""

    kind: Literal["memory", "sqlite", "redis"]
    """Where events are kept."""
    status: Literal["ok", "degraded", "down"]
    """Degraded: events may not outlive the process, or it is seconds behind; down: it stores nothing."""
    error: NotRequired[Line]
    """Why it is not ok."""
    oldest_waiting_seconds: NotRequired[Amount]
    """Seconds that an event waits until it is stored and sent; if none is, those that the oldest has waited."""
    events: NotRequired[Count]
    """Number of stored events."""
    bytes: NotRequired[Count]
    """Its size on disk."""
    redis: NotRequired[Name]
    """Host, port and database of Redis."""
    queued: NotRequired[Count]
    """Events of this process that wait for Redis."""
    dropped: NotRequired[Count]
    """Events dropped since the start because too many waited."""


Action = Literal["pause", "resume", "check", "retry", "postpone", "confirm"]
"""An action of a pipeline."""


class PipelineHealth(TypedDict):
    """A pipeline and its last activity."""

    status: Name
    """As in its state."""
    last_activity: Time | None
    """As in its state."""
    actions: NotRequired[list[Action]]
    """The actions that this service offers for it; missing if there are none."""


ClientCounts = dict[Literal["total", "/google_drive", "/local_files", "/pipeline"], Count]
"""``total`` counts connections, the others subscriptions: one connection can be in several namespaces. ``/`` counts as
``/pipeline``."""


class Health(TypedDict):
    """The health of all parts."""

    status: Literal["ok", "degraded", "down"]
    """The worst status of all parts."""
    http: HttpHealth
    """The HTTP server."""
    socket_io: SocketIoHealth
    """The Socket.IO server."""
    clients: ClientCounts | None
    """`total` counts connections, the others subscriptions; null if the Socket.IO server is down."""
    clients_dropped: Count | None
    """Clients disconnected since the start because their backlog was full."""
    journal: JournalHealth
    """The journal, which keeps the events."""
    pipelines: dict[str, PipelineHealth]
    """By id."""
    uptime_seconds: Amount
    """Since the service started."""


class HealthBrief(TypedDict):
    """The health for a client without a token."""

    status: Literal["ok", "degraded", "down"]
    """The worst status of all parts."""


class SocketServerHealth(TypedDict):
    """The answer of `/health` on the Socket.IO server's own port."""

    status: Literal["ok"]
    """Always `ok`, because it answers."""
    clients: ClientCounts
    """`total` counts connections, the others subscriptions."""
    clients_dropped: Count
    """Clients disconnected since the start because their backlog was full."""


class ControlAnswer(TypedDict):
    """An accepted request: the pipeline carries it out as soon as it can, and its state shows it."""

    pipeline_id: Name
    """The pipeline's id."""
    action: Action
    """The requested action."""
    file: Name | None
    """The file's id; null if the action is about the whole pipeline."""


class Error(TypedDict):
    """The answer to every request that fails."""

    error: Line
    """The problem in one line, for people."""


OPEN = (StateSummary, State, StatusEvent, Status, StatusSummary)
"""The types that also have a pipeline's own fields; all others have exactly the fields they name."""
