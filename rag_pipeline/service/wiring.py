"""Wires pipelines, journal and hub together. The journal backend decides the way of an event:

::

    memory, one process
        PipelineStatus ──▶ mailbox ──▶ hub ──▶ clients                      the hub numbers events
                                        └────▶ tail

    SQLite in the state folder, one process
        PipelineStatus ──▶ writer ──▶ mailbox ──▶ hub ──▶ clients           the store numbers events
                             └──▶ SQLite           └────▶ tail

    Redis, many processes, each with pipelines and a server
        PipelineStatus ──▶ publisher ──▶ Redis stream ──▶ reader ──▶ mailbox ──▶ hub ──▶ clients
                                         (numbers events)                         └────▶ tail, remote states

    Redis, a server without pipelines: the same from the stream on
                                         Redis stream ──▶ reader ──▶ mailbox ──▶ hub ──▶ clients

Mailbox, writer and publisher are queues: a reporting thread only appends and never waits. The hub writes to the clients
on its own thread. Over Redis it does not ask pipelines for their states, not even those of its own process: it computes
them from the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rag_pipeline.broadcast import Hub, HubItem, NewJournal
from rag_pipeline.broadcast.remote_states import RemoteStates
from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.journal.backend import HubHandle, JournalBackend
from rag_pipeline.journal.gap import EventOverflow
from rag_pipeline.status.core import StatusCore


class Wiring:
    """The connected parts. Pipelines publish to ``sink``; ``remote_states`` is None unless the journal is shared."""

    def __init__(
        self, backend: JournalBackend, pipelines: Callable[[], Iterable[StatusCore]], *, backlog_limit_bytes: int
    ) -> None:
        mailbox: Mailbox[HubItem] = Mailbox(policy=EventOverflow())
        self.backend = backend
        self.backlog_limit_bytes = backlog_limit_bytes
        self.remote_states = RemoteStates() if backend.shared else None
        self.sink = backend.connect(
            HubHandle(
                mailbox,
                call=lambda function: self.hub.call(function),
                begin_journal=lambda *journal: mailbox.publish(NewJournal(*journal)),
                mark_stalled=lambda ids: self.hub.call(lambda: self.hub.mark_stalled(ids)),
                pipelines=pipelines,
            )
        )
        self.hub = Hub(
            pipelines,
            mailbox,
            backend.tail,
            sink=self.sink,
            fetch=backend.fetch,
            reaches=backend.reaches,
            remote_states=self.remote_states,
            backlog_limit_bytes=backlog_limit_bytes,
        )
