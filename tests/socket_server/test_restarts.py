"""Restarts of the service under a stock client with latency: each event arrives once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.lagging_proxy import LaggingProxy
from tests.socket_server.support import serving
from tests.socket_server.test_node_client import NodeClient, pytestmark

__all__ = ["pytestmark"]

RESTARTS = 5
FILES_A_RUN = 20


class FarClient(NodeClient):
    """A stock client that collects the names of started files."""

    def __init__(self, port: int, mode: str, transports: str) -> None:
        super().__init__(port, mode, script="resume.mjs", TRANSPORTS=transports)
        self.files: list[str] = []

    def next(self) -> list[object]:
        line: list[object] = self._lines.get(timeout=60)
        if line[0] == "event":
            if line[1] == "pipeline:file_processing_started":
                assert isinstance(line[2], dict)
                self.files.append(line[2]["file"]["name"])
        else:
            self.log.append(line)
        return line


@pytest.mark.parametrize("transports", ["polling", "websocket"])
@pytest.mark.parametrize("mode", ["offset", "socket.io"])
def test_a_far_client_sees_each_event_once_over_restarts(tmp_path: Path, mode: str, transports: str) -> None:
    sent: list[str] = []
    pause = threading.Event()
    with LaggingProxy(0.05) as proxy, FarClient(proxy.port, mode, transports) as far:
        for run in range(RESTARTS + 1):
            pipeline = PipelineStatus("local_files", "far-away")
            with serving(pipeline, state_dir=tmp_path) as server:
                proxy.target = server.socket_port
                while sum(line[0] == "connect" for line in far.log) <= run:
                    far.next()
                for number in range(FILES_A_RUN):
                    sent.append(f"{run}-{number}")
                    pipeline.add_processing_file(sent[-1], sent[-1])
                    pause.wait(0.01)
                if run == RESTARTS:
                    while len(far.files) < len(sent):
                        far.next()
            pipeline.close()
    assert far.files == sent
