from __future__ import annotations

from collections.abc import Iterator

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import FileQuery
from rag_pipeline.journal.backend import HubHandle, JournalBackend
from rag_pipeline.journal.memory import MemoryBackend
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.journal.stores import RecordingMailbox


def connected(backend: MemoryBackend) -> RecordingMailbox:
    mailbox = RecordingMailbox(lambda _: None)
    hub = HubHandle(mailbox, lambda _: None, lambda *_: None, lambda _: None, list)
    assert backend.connect(hub) is mailbox, "pipelines publish to the hub itself"
    return mailbox


def test_it_is_a_backend() -> None:
    backend: JournalBackend = MemoryBackend()
    backend.start()
    assert not backend.shared
    assert backend.writer is None
    assert backend.describe() == {"status": "ok", "kind": "memory", "events": 0}
    assert backend.restore("kept") is None
    assert backend.claim(["kept"]) == frozenset()
    backend.wait_for_claims(["kept"])
    backend.stop()


def test_events_and_files_are_read_from_the_tail() -> None:
    backend = MemoryBackend()
    pipeline = PipelineStatus("local_files", "kept")
    core_of(pipeline).attach(_Numbering(backend))
    pipeline.skip_file("a", "no text")
    (row,) = backend.files(FileQuery())
    assert (row.file["name"], row.status) == ("a", "skipped")
    assert [entry.event.seq for entry in backend.read(0, 10, events.NS_PIPELINE)] == [1]
    assert backend.reaches(0)
    assert not backend.reaches(2)
    pipeline.close()


class _Numbering:
    """Numbers events as the hub does."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._tail = backend.tail

    def publish_all(self, items: Iterator[object]) -> None:
        for item in items:
            if isinstance(item, PipelineEvent):
                self._tail.number(item)


def test_events_older_than_the_tail_are_gone() -> None:
    answers: list[object] = []
    MemoryBackend().fetch(3, events.NS_PIPELINE, lambda *answer: answers.append(answer))
    assert answers == [(None, 3)]


def test_dropped_events_degrade_the_health_and_the_list_of_files() -> None:
    backend = MemoryBackend()
    mailbox = connected(backend)
    assert (backend.describe()["status"], backend.has_all_files()) == ("ok", True)
    mailbox.dropped = 7
    shown = backend.describe()
    assert (shown["status"], shown["dropped"], backend.has_all_files()) == ("degraded", 7, False)
    assert shown["error"].startswith("7 events were dropped")
