"""StatusServer: how it stops, with real servers and clients."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.common.config import AuthSettings, Settings
from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.common.listener import open_listener
from rag_pipeline.service import StatusServer, start_status_server
from tests.service.support import assert_answers, connect, last_status, new_pipeline, wait_for
from tests.support.hanging_disk import HANG_SECONDS, hanging_disk
from tests.support.http_get import get_json
from tests.support.processes import native_threads
from tests.support.programs import Program
from tests.support.waiting import wait_until
from tests.verify import Received, Watcher

pytestmark = pytest.mark.slow

# A polling client may be between two polls when the server ends, and would miss what is queued.
TOKEN = "a-token-of-enough-length-for-everybody"
TRANSPORTS = pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids="-".join)


def test_stop_ends_every_thread_it_started() -> None:
    before = native_threads()
    for _ in range(3):
        with start_status_server(0, pipelines=[new_pipeline()]) as server:
            assert_answers(server)
            assert native_threads() > before
        wait_until(lambda: native_threads() <= before)


def test_stop_is_idempotent_and_frees_the_ports_for_a_second_start() -> None:
    pipeline = new_pipeline()
    server = start_status_server(0, pipelines=[pipeline])
    ports = server.http_port, server.socket_port
    for _ in range(3):
        with connect(server) as watcher:
            wait_until(lambda: watcher.count("/pipeline") == 1)
            pipeline.update(status="running")
            wait_until(lambda: watcher.count("/pipeline") == 2)
            server.stop()
            server.stop()
            wait_until(lambda: not watcher.connected)
        pipeline.update(status="alone")  # no server, no harm
        server = start_status_server(ports[0], socket_port=ports[1], pipelines=[pipeline])
        assert get_json(server.http_port, "/status").body["status"] == "alone"
    server.stop()


def test_stop_from_several_threads_returns_once_it_is_done() -> None:
    server = start_status_server(0, pipelines=[new_pipeline()])
    with connect(server, ["polling"]), connect(server):
        threads = [threading.Thread(target=server.stop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        get_json(server.socket_port, "/health")


def test_stop_is_bounded_when_the_socket_io_loop_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.socket_server.server.STOP_TIMEOUT_SECONDS", 0.2)
    hang = threading.Event()
    server = start_status_server(0, pipelines=[new_pipeline()])
    server._sockets.hub.call(wait_for(hang))
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    stopping.join(30)  # half as long as the loop hangs
    assert not stopping.is_alive()
    hang.set()


def test_the_context_manager_stops_at_its_end_and_on_an_error() -> None:
    with pytest.raises(ZeroDivisionError), start_status_server(0, pipelines=[]) as server:
        raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        get_json(server.http_port, "/status")
    with pytest.raises(ConnectionRefusedError):
        get_json(server.socket_port, "/health")


@TRANSPORTS
def test_the_last_events_reach_clients_before_the_goodbye(transports: list[str]) -> None:
    pipeline = new_pipeline()
    server = start_status_server(0, pipelines=[pipeline])
    with connect(server, transports) as watcher:
        wait_until(lambda: watcher.count("/pipeline") == 1)
        pipeline.add_processing_file("a.txt")
        for tenth in range(11):  # all but the first and the last are held back
            pipeline.file_progress("a.txt", "embedding", tenth / 10)
        server.stop()
        wait_until(lambda: not watcher.connected)
    names = [item.name for item in watcher.received("/pipeline")]
    assert names[-2:] == ["pipeline:status", "disconnect"]
    progress = [e.arguments[0]["file"]["progress"] for e in watcher.received("/pipeline") if "progress" in e.name]
    assert progress[-1] == 1
    status: Received = watcher.received("/pipeline")[-2]
    assert status.arguments[0]["files_processing"][0]["progress"] == 1


PROGRAM = """
import sys
from status_server import pipeline_status, start_status_server
pipeline_status.update(pipeline_type="local_files", status="running")
server = start_status_server(0)
print("ports", server.http_port, server.socket_port)
sys.stdin.read()
pipeline_status.update(status="the last word")
"""


@TRANSPORTS
def test_a_program_that_simply_ends_still_sends_its_last_event(transports: list[str]) -> None:
    with Program("-W", "error", "-c", PROGRAM) as program:
        port = program.expect(r"ports \d+ (\d+)")
        with Watcher(f"http://127.0.0.1:{port}", transports) as watcher:
            wait_until(lambda: last_status(watcher) == "running")
            program.end_of_input()
            wait_until(lambda: not watcher.connected)
            assert last_status(watcher) == "the last word"
            assert last_status(watcher, "/local_files") == "the last word"
        assert program.exit_code() == 0
        assert re.fullmatch(r"ports \d+ \d+\n", program.output)


def test_a_second_ctrl_c_during_the_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    with Program("-W", "error", "-c", TWICE_INTERRUPTED, str(tmp_path)) as program:
        program.expect("stopping")
        for _ in range(3):
            program.signal(signal.SIGINT)
        ports = program.expect(r"interrupted, ports (\d+ \d+)").split()
        program.line()
        program.expect("ended")
        for port in ports:
            open_listener("127.0.0.1", int(port)).close()
        program.line()
        assert program.exit_code() == 0


TWICE_INTERRUPTED = """
import os, sys, threading, time
from rag_pipeline.journal.sqlite.journal import SqliteJournal
from status_server import pipeline_status, start_status_server
close = SqliteJournal.close
def slow(self):
    time.sleep(1)
    close(self)
SqliteJournal.close = slow
before = len(os.listdir("/proc/self/task"))
server = start_status_server(0, state_dir=sys.argv[1])
pipeline_status.update(status="running")
try:
    print("stopping", flush=True)
    while True:
        server.stop()
        time.sleep(0.01)
except KeyboardInterrupt:
    try:
        server.stop()
    except KeyboardInterrupt:
        pass
try:
    print("interrupted, ports", server.http_port, server.socket_port, flush=True)
    sys.stdin.readline()
except KeyboardInterrupt:
    print("interrupted, ports", server.http_port, server.socket_port, flush=True)
    sys.stdin.readline()
server.stop()
deadline = time.monotonic() + 60
while len(os.listdir("/proc/self/task")) > before:
    assert time.monotonic() < deadline
    time.sleep(0.01)
print("ended", flush=True)
sys.stdin.readline()
"""


def test_stop_is_bounded_when_the_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.writer.STOP_SECONDS", 0.1)
    monkeypatch.setattr("rag_pipeline.service.server.JOURNAL_STOP_SECONDS", 0.5)
    before = native_threads()
    pipeline = new_pipeline()
    with hanging_disk(monkeypatch) as hangs:
        server = start_status_server(0, pipelines=[pipeline], state_dir=tmp_path)
        hangs.set()
        pipeline.update(status="running")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        stopping.join(HANG_SECONDS / 2)
        assert not stopping.is_alive()
        for port in (server.http_port, server.socket_port):
            open_listener("127.0.0.1", port).close()
        lines = [r.getMessage() for r in caplog.records if "is left behind" in r.getMessage()]
        assert lines == ["the journal did not stop within 0.5 seconds, and is left behind"]
    wait_until(lambda: native_threads() <= before)  # once the disk responds


def test_a_server_whose_loop_hangs_leaves_its_ports_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.socket_server.server.STOP_TIMEOUT_SECONDS", 0.2)
    hang = threading.Event()
    server = start_status_server(0, pipelines=[])
    server._sockets.hub.call(wait_for(hang))
    server.stop()
    try:
        with start_status_server(server.http_port, socket_port=server.socket_port, pipelines=[]) as again:
            assert again is not server
            assert_answers(again)
            hang.set()
            assert_answers(again)
    finally:
        hang.set()


class NoDocuments:
    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        return []


@pytest.mark.parametrize(
    ("settings", "documents", "refusal"),
    [
        ({}, NoDocuments(), "search shows the text of documents: set STATUS_AUTH_TOKEN"),
        ({"search": True}, NoDocuments(), None),
        ({"search": False}, NoDocuments(), "documents can't be searched over HTTP: STATUS_SEARCH is 0"),
        ({"search": True}, None, "documents can't be searched here"),
        ({"auth": AuthSettings(tokens=(TOKEN,))}, NoDocuments(), None),
        ({"auth": AuthSettings(tokens=(TOKEN,)), "search": False}, NoDocuments(), "STATUS_SEARCH is 0"),
    ],
)
def test_documents_are_searched_by_those_with_a_token_unless_a_setting_says_otherwise(
    settings: dict[str, Any], documents: NoDocuments | None, refusal: str | None
) -> None:
    server = StatusServer(Settings(http_port=0, socket_port=0, **settings), pipelines=[], documents=documents)
    found = server._view.search_refusal
    server.stop()
    assert (found is None) if refusal is None else (found is not None and refusal in found)
