"""The client records everything in order, and reports why it can't connect."""

from __future__ import annotations

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.errors import ServiceError
from rag_pipeline.service import start_status_server
from tests.contract.checking import check_event
from tests.support.ports import taken_port
from tests.support.waiting import wait_until
from tests.verify import Watcher

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids="-".join)
def test_a_burst_is_recorded_in_order(transports: list[str]) -> None:
    pipeline = PipelineStatus("local_files", "watcher-test")
    with (
        start_status_server(0, pipelines=[pipeline]) as server,
        Watcher(f"http://127.0.0.1:{server.socket_port}", transports) as watcher,
    ):
        wait_until(lambda: watcher.count("/pipeline") == watcher.count("/local_files") == 1)
        for number in range(500):
            pipeline.update(own={"number": number})
        wait_until(lambda: watcher.count("/pipeline") == watcher.count("/local_files") == 501)
        for namespace in ("/pipeline", "/local_files"):
            got = watcher.received(namespace)
            assert got[0].name == "connect"
            for item in got[1:]:
                check_event(item.name, *item.arguments)
            assert [item.arguments[0].get("number") for item in got[1:]] == [None, *range(500)]
        assert watcher.counts("/google_drive") == {"connect": 1, "pipeline:status": 1}
        server.stop()
        wait_until(lambda: not watcher.connected)
        assert watcher.received("/pipeline")[-1].name == "disconnect"


def test_an_unreachable_server_is_one_line() -> None:
    with taken_port() as port:
        pass
    with pytest.raises(ServiceError, match=f"could not connect to http://127.0.0.1:{port} by polling"):
        Watcher(f"http://127.0.0.1:{port}", ["polling"])
