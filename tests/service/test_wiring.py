"""The wiring hands events from pipelines to the hub, by the way that the journal backend needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.broadcast import Subscriber
from rag_pipeline.common.config import Settings
from rag_pipeline.contract import events
from rag_pipeline.journal.factory import open_backend
from rag_pipeline.journal.memory import MemoryBackend
from rag_pipeline.service.wiring import Wiring
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.broadcast.outlets import RecordingOutlet
from tests.support.waiting import wait_until


@pytest.mark.parametrize("stored", [False, True])
def test_events_reach_clients_with_a_position(tmp_path: Path, stored: bool) -> None:
    backend = open_backend(Settings(state_dir=tmp_path if stored else None))
    pipeline = PipelineStatus("local_files", f"wired-{stored}")
    wiring = Wiring(backend, lambda: [core_of(pipeline)], backlog_limit_bytes=1 << 20)
    backend.start()
    try:
        core_of(pipeline).attach(wiring.sink)
        outlet = RecordingOutlet()
        wiring.hub.join(Subscriber("s", "c", events.NS_PIPELINE, outlet))

        def received(count: int) -> bool:
            wiring.hub.drain()
            return len(outlet.received) >= count

        wait_until(lambda: received(1))
        pipeline.add_processing_file("a.pdf")
        wait_until(lambda: received(2))
        _, name, body = outlet.received[1]
        assert (name, body["offset"]) == (events.FILE_STARTED, f"{backend.tail.identity}-{backend.tail.newest:x}")
    finally:
        pipeline.close()
        backend.stop()
        wiring.hub.mailbox.close()


def test_in_memory_pipelines_publish_straight_to_the_hub() -> None:
    wiring = Wiring(MemoryBackend(), list, backlog_limit_bytes=1 << 20)
    assert wiring.sink is wiring.hub.mailbox
    assert wiring.remote_states is None
    wiring.hub.mailbox.close()


def test_with_a_store_pipelines_publish_to_its_writer(tmp_path: Path) -> None:
    backend = open_backend(Settings(state_dir=tmp_path))
    wiring = Wiring(backend, list, backlog_limit_bytes=1 << 20)
    assert wiring.sink is backend.writer
    backend.stop()
    wiring.hub.mailbox.close()


def test_a_shared_journal_brings_the_states_of_other_processes() -> None:
    class SharedBackend(MemoryBackend):
        shared = True

    wiring = Wiring(SharedBackend(), list, backlog_limit_bytes=1 << 20)
    assert wiring.remote_states is not None
    assert wiring.remote_states.ids() == []
    wiring.hub.mailbox.close()
