"""What users rely on of start_status_server and StatusServer, with real servers and clients."""

from __future__ import annotations

import gc
import itertools
import re
import signal
import socket
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.common.listener import open_listener
from rag_pipeline.errors import ConfigurationError, PortInUseError
from rag_pipeline.service.server import StatusServer, start_status_server
from tests.support.hanging_disk import HANG_SECONDS, hanging_disk
from tests.support.http_get import get_json
from tests.support.ports import free_port_pair, taken_port
from tests.support.processes import native_threads
from tests.support.programs import Program, run
from tests.support.waiting import wait_until
from tests.verify import Received, Watcher

_numbers = itertools.count()
# A client that polls may be between two polls when the server ends: what is queued for it then has no way out.
SETTLED = pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids="-".join)


def new_pipeline(pipeline_type: str = "local_files") -> PipelineStatus:
    return PipelineStatus(pipeline_type, f"service-test-{next(_numbers)}")


def connect(server: StatusServer, transports: Sequence[str] = ("websocket",)) -> Watcher:
    return Watcher(f"http://127.0.0.1:{server.socket_port}", transports)


def _ignore(_value: object) -> None:
    """Make a call of what returns something."""


def last_status(watcher: Watcher, namespace: str = "/pipeline") -> object:
    events = [item for item in watcher.received(namespace) if item.name == "pipeline:status"]
    return events[-1].arguments[0]["status"] if events else None


def assert_answers(server: StatusServer) -> None:
    assert get_json(server.http_port, "/health").status == 200
    assert get_json(server.socket_port, "/health").status == 200


# -- ports -----------------------------------------------------------------------------------------------------------


def test_socket_io_takes_the_port_above_unless_one_is_given() -> None:
    port = free_port_pair()
    with start_status_server(port, pipelines=[]) as server:
        assert (server.http_port, server.socket_port) == (port, port + 1)
        assert_answers(server)
    with taken_port() as other:
        pass
    with start_status_server(port, socket_port=other, pipelines=[]) as server:
        assert (server.http_port, server.socket_port) == (port, other)
        assert_answers(server)


def test_port_0_picks_two_free_ports_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with taken_port() as port:
        monkeypatch.setenv("SOCKET_IO_PORT", str(port))
        with start_status_server(0, pipelines=[]) as server:
            assert len({server.http_port, server.socket_port, port, 0}) == 4
            assert_answers(server)


def test_ports_and_host_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port_pair()
    monkeypatch.setenv("STATUS_PORT", str(port + 1))
    monkeypatch.setenv("SOCKET_IO_PORT", str(port))
    monkeypatch.setenv("STATUS_HOST", "localhost")
    with start_status_server(pipelines=[]) as server:
        assert (server.host, server.http_port, server.socket_port) == ("localhost", port + 1, port)
        assert_answers(server)


@pytest.mark.parametrize("which", ["http", "socket"])
def test_a_taken_port_is_named_and_nothing_stays_half_started(which: str) -> None:
    before = native_threads()
    pipeline = new_pipeline()
    with taken_port() as free:
        pass
    with taken_port() as taken:
        ports = (taken, free) if which == "http" else (free, taken)
        with pytest.raises(PortInUseError, match=rf"\b{taken}\b") as caught:
            start_status_server(ports[0], socket_port=ports[1], pipelines=[pipeline])
        assert "\n" not in str(caught.value)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", free))
    wait_until(lambda: native_threads() <= before)
    with start_status_server(ports[0], socket_port=ports[1], pipelines=[pipeline]) as server:
        assert_answers(server)


def test_a_server_whose_port_is_taken_by_a_running_service_leaves_that_one_alone() -> None:
    with start_status_server(0, pipelines=[]) as server:
        with pytest.raises(PortInUseError):
            start_status_server(server.http_port, socket_port=0, pipelines=[])
        with pytest.raises(PortInUseError):
            start_status_server(0, socket_port=server.socket_port, pipelines=[])
        assert_answers(server)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("STATUS_PORT", "http"), ("STATUS_PORT", "70000"), ("SOCKET_IO_PORT", "-1"), ("STATUS_PORT", "65535")),
        *(("SOCKET_IO_TRANSPORTS", "websocket,carrier-pigeon"), ("SOCKET_IO_CORS_ORIGIN", "example.com")),
        *(("ENVIRONMENT", "staging"), ("STATUS_HOST", "no such host"), ("RAG_PIPELINE_ID", "a\tb")),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    before = native_threads()
    monkeypatch.setenv(key, value)
    port = None if key.endswith("PORT") else 0
    with pytest.raises(ConfigurationError) as caught:
        start_status_server(port, pipelines=[])
    line = str(caught.value)
    assert "\n" not in line
    assert repr(value).strip("'") in line
    assert "expected" in line
    assert key in line or key.removeprefix("STATUS_").lower() in line
    wait_until(lambda: native_threads() <= before)


@pytest.mark.parametrize("port", [-1, 65536, True, 80.5])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match="port"):
        start_status_server(port, pipelines=[])


# -- stopping and starting again -------------------------------------------------------------------------------------


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


def test_stop_from_several_threads_at_once_returns_when_it_is_done() -> None:
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
    server._sockets.hub.call(lambda: _ignore(hang.wait(60)))
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    stopping.join(30)  # half of what the loop hangs for
    assert not stopping.is_alive()
    hang.set()


def test_the_context_manager_stops_at_its_end_and_on_an_error() -> None:
    with pytest.raises(ZeroDivisionError), start_status_server(0, pipelines=[]) as server:
        raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        get_json(server.http_port, "/status")
    with pytest.raises(ConnectionRefusedError):
        get_json(server.socket_port, "/health")


@SETTLED
def test_the_last_events_reach_clients_before_the_goodbye(transports: list[str]) -> None:
    pipeline = new_pipeline()
    server = start_status_server(0, pipelines=[pipeline])
    with connect(server, transports) as watcher:
        wait_until(lambda: watcher.count("/pipeline") == 1)
        pipeline.add_processing_file("a.txt")
        for tenth in range(11):  # of these all but the first and the last are held back
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


@SETTLED
def test_a_program_that_just_ends_still_tells_its_last_event(transports: list[str]) -> None:
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


def test_a_second_ctrl_c_while_it_stops_still_ends_the_program_with_nothing_left(tmp_path: Path) -> None:
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


def test_stop_is_bounded_when_the_disk_hangs_and_the_other_parts_end(
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
    wait_until(lambda: native_threads() <= before)  # once the disk answers


def test_a_server_whose_loop_hangs_leaves_its_ports_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.socket_server.server.STOP_TIMEOUT_SECONDS", 0.2)
    hang = threading.Event()
    server = start_status_server(0, pipelines=[])
    server._sockets.hub.call(lambda: _ignore(hang.wait(60)))
    server.stop()
    try:
        with start_status_server(server.http_port, socket_port=server.socket_port, pipelines=[]) as again:
            assert again is not server
            assert_answers(again)
            hang.set()
            assert_answers(again)
    finally:
        hang.set()


# -- a second start --------------------------------------------------------------------------------------------------


def ignored_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "is what start_status_server returned" in r.getMessage()]


def test_a_second_start_on_the_same_ports_returns_the_running_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port_pair()
    monkeypatch.setenv("STATUS_PORT", str(port))
    server = start_status_server()
    try:
        assert start_status_server() is server
        assert start_status_server(port) is server
        assert start_status_server(port, host="localhost", socket_port=port + 1) is server
        assert not ignored_lines(caplog)
        assert_answers(server)
    finally:
        server.stop()
    with start_status_server() as again:
        assert again is not server
        assert_answers(again)


def test_what_differs_in_a_second_start_is_said_once_to_be_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port_pair()
    with start_status_server(port) as server:
        for _ in range(3):
            assert start_status_server(port, state_dir=tmp_path, pipelines=[new_pipeline()]) is server
        (line,) = ignored_lines(caplog)
        assert line.endswith("state_dir (STATUS_STATE_DIR), pipelines")
        assert server.url in line
        monkeypatch.setenv("STATUS_AUTH_TOKEN", TOKEN)
        start_status_server(port)
        assert ignored_lines(caplog)[1].endswith("auth")
        assert TOKEN not in caplog.text
        server.stop()


def test_a_cell_that_makes_its_pipeline_anew_and_starts_again_has_the_new_one_shown() -> None:
    port = free_port_pair()

    def cell() -> StatusServer:
        pipeline = PipelineStatus("local_files", "of-a-cell")
        server = start_status_server(port, pipelines=[pipeline])
        pipeline.update(status="running", own={"run": next(_numbers)})
        return server

    server = cell()
    first = get_json(port, "/status").body["run"]
    assert cell() is server
    assert get_json(port, "/status").body["run"] == first + 1
    assert "1 pipeline>" in repr(server)
    server.stop()


def test_port_0_always_makes_a_new_server() -> None:
    with start_status_server(0, pipelines=[]) as first, start_status_server(0, pipelines=[]) as second:
        assert first is not second
        assert_answers(first)
        assert_answers(second)


def test_a_nested_block_leaves_the_server_to_the_one_around_it() -> None:
    port = free_port_pair()
    with start_status_server(port, pipelines=[]) as server:
        with start_status_server(port, pipelines=[]) as inner:
            assert inner is server
        assert_answers(server)
        with server:
            pass
        assert_answers(server)
    assert "stopped" in repr(server)


def test_a_block_leaves_a_server_that_another_call_holds() -> None:
    port = free_port_pair()
    server = start_status_server(port, pipelines=[])
    with start_status_server(port, pipelines=[]), start_status_server(port, pipelines=[]):
        pass
    assert_answers(server)
    with server:
        pass
    assert "stopped" in repr(server)


def test_many_starts_at_once_make_one_server() -> None:
    port = free_port_pair()
    found: list[StatusServer] = []
    threads = [threading.Thread(target=lambda: found.append(start_status_server(port, pipelines=[]))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 6
    assert len(set(found)) == 1
    found[0].stop()


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_a_server_has_a_url_and_a_repr(host: str, shown: str) -> None:
    server = start_status_server(0, host=host, pipelines=[new_pipeline(), new_pipeline()])
    url = f"http://{shown}:{server.http_port}"
    assert server.url == url
    assert repr(server) == f"<StatusServer {url}, Socket.IO on port {server.socket_port}, running, 2 pipelines>"
    server.stop()
    assert "stopped" in repr(server)


@pytest.mark.parametrize("which", ["http", "socket"])
def test_a_taken_port_says_how_to_choose_another(which: str) -> None:
    with taken_port() as taken:
        ports = (taken, 0) if which == "http" else (0, taken)
        with pytest.raises(PortInUseError) as caught:
            start_status_server(ports[0], socket_port=ports[1], pipelines=[])
    named = ("port=", "STATUS_PORT", "--port") if which == "http" else ("socket_port=", "SOCKET_IO_PORT")
    assert all(word in str(caught.value) for word in named)


# -- which pipelines -------------------------------------------------------------------------------------------------


def test_two_servers_in_one_process_show_their_own_pipelines() -> None:
    first, second = new_pipeline(), new_pipeline()
    with start_status_server(0, pipelines=[first]) as a, start_status_server(0, pipelines=[second]) as b:
        with connect(a) as of_a, connect(b) as of_b:
            wait_until(lambda: of_a.count("/pipeline") == 1 == of_b.count("/pipeline"))
            first.update(status="one")
            second.update(status="two")
            wait_until(lambda: last_status(of_a) == "one")
            wait_until(lambda: last_status(of_b) == "two")
            assert of_a.count("/pipeline") == of_b.count("/pipeline") == 2
        assert get_json(a.http_port, "/status").body["pipeline_id"] == first.pipeline_id
        assert get_json(a.http_port, f"/status/{second.pipeline_id}").status == 404


def test_two_servers_in_one_process_need_two_state_folders(tmp_path: Path) -> None:
    first, second = new_pipeline(), new_pipeline()
    with (
        start_status_server(0, pipelines=[first], state_dir=tmp_path / "a") as a,
        start_status_server(0, pipelines=[second], state_dir=tmp_path / "b") as b,
        start_status_server(0, pipelines=[second], state_dir=tmp_path / "a") as c,
    ):
        journals = [get_json(server.http_port, "/health").body["journal"] for server in (a, b, c)]
        assert [journal["kind"] for journal in journals] == ["sqlite", "sqlite", "memory"]
        assert "another server of this process: give each a state_dir of its own" in journals[2]["error"]


def test_two_servers_can_share_a_pipeline_and_one_may_stop() -> None:
    pipeline = new_pipeline()
    a = start_status_server(0, pipelines=[pipeline])
    with start_status_server(0, pipelines=[pipeline]) as b, connect(a) as of_a, connect(b) as of_b:
        wait_until(lambda: of_a.count("/pipeline") == 1 == of_b.count("/pipeline"))
        pipeline.update(status="both")
        wait_until(lambda: last_status(of_a) == "both" == last_status(of_b))
        a.stop()
        pipeline.update(status="one")
        wait_until(lambda: last_status(of_b) == "one")
        assert last_status(of_a) == "both"


def test_one_pipeline_is_shown_flat_and_several_also_by_id() -> None:
    first, second = new_pipeline("google_drive"), new_pipeline("sharepoint")
    with start_status_server(0, pipelines=[first]) as server:
        assert get_json(server.http_port, "/status").body == first.get()
    with start_status_server(0, pipelines=[first, second]) as server:
        body = get_json(server.http_port, "/status").body
        assert body.pop("pipelines") == {first.pipeline_id: first.get(), second.pipeline_id: second.get()}
        assert body == first.get()
        assert get_json(server.http_port, f"/status/{second.pipeline_id}") == (200, second.get())
        missing = get_json(server.http_port, "/status/none-such")
        assert missing.status == 404
        assert "none-such" in missing.body["error"]


def test_pipelines_made_before_and_after_the_start_are_shown_also_when_their_owner_let_go() -> None:
    before = new_pipeline()
    with start_status_server(0) as server, connect(server) as watcher:
        wait_until(lambda: watcher.count("/pipeline") >= 1)
        after = new_pipeline()
        ids = before.pipeline_id, after.pipeline_id
        before.update(status="made before")
        after.update(status="made after")
        wait_until(lambda: last_status(watcher) == "made after")
        assert [get_json(server.http_port, f"/status/{i}").body["status"] for i in ids] == ["made before", "made after"]
        assert {*ids} <= get_json(server.http_port, "/health").body["pipelines"].keys()
        del before, after
        gc.collect()
        assert [get_json(server.http_port, f"/status/{i}").status for i in ids] == [200, 200]
        with connect(server) as late:
            wait_until(lambda: {*ids} <= {i.arguments[0]["pipeline_id"] for i in late.received("/pipeline")[1:]})


def test_a_closed_pipeline_is_shown_no_more_and_its_id_serves_another() -> None:
    with start_status_server(0) as server:
        former = new_pipeline()
        former.update(status="former")
        later = PipelineStatus("local_files", former.pipeline_id)
        assert get_json(server.http_port, f"/status/{later.pipeline_id}").body["status"] == "initializing"
        later.close()
        assert get_json(server.http_port, f"/status/{later.pipeline_id}").status == 404
        gone = weakref.ref(former)
        new = new_pipeline()  # with it the server lets go of those that were closed
        del former
        gc.collect()
        assert gone() is None
        assert get_json(server.http_port, f"/status/{new.pipeline_id}").status == 200


def test_the_default_pipeline_alone_is_shown_flat_and_first_among_several() -> None:
    program = """
import json, urllib.request
from status_server import PipelineStatus, pipeline_status, start_status_server
def ask(path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return json.load(opener.open(f"http://127.0.0.1:{server.http_port}{path}", timeout=30))
with start_status_server(0) as server:
    alone = ask("/status")
    assert alone == pipeline_status.get() and alone["status"] == "initializing", alone
    other = PipelineStatus("local_files", "other")
    assert ask("/status") == other.get()          # the default one has nothing to say yet
    pipeline_status.update(pipeline_type="google_drive", status="running")
    both = ask("/status")
    assert list(both.pop("pipelines")) == [pipeline_status.pipeline_id, "other"]
    assert both == pipeline_status.get()
print("fine")
"""
    done = run("-W", "error", "-c", program)
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


def test_a_program_that_only_reports_needs_no_server() -> None:
    program = """
import sys, threading
from rag_pipeline import pipeline_status
pipeline_status.update(status="running")
with pipeline_status.processing("a.txt") as file:
    file.stage("chunking", 0.5)
assert pipeline_status.get()["total_processed"] == 1
assert not {"eventlet", "socketio", "engineio"} & sys.modules.keys()
assert threading.active_count() == 1
print("fine")
"""
    done = run("-W", "error", "-c", program)
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


# -- health ----------------------------------------------------------------------------------------------------------


def test_health_counts_clients_and_tells_each_pipelines_last_activity() -> None:
    pipeline = new_pipeline()
    with start_status_server(0, pipelines=[pipeline]) as server:
        with connect(server), connect(server, ["polling"]):
            pipeline.update(status="running")
            status, body = get_json(server.http_port, "/health")
        assert status == 200
        assert body["status"] == body["http"]["status"] == body["socket_io"]["status"] == "ok"
        assert body["socket_io"]["answered_in_ms"] > 0
        assert body["clients"] == {"total": 2, "/google_drive": 2, "/local_files": 2, "/pipeline": 4}  # "/", too
        state = pipeline.get()
        assert body["pipelines"] == {
            pipeline.pipeline_id: {"status": "running", "last_activity": state["last_activity"]}
        }


def test_health_is_503_once_the_socket_io_server_is_dead_and_status_goes_on() -> None:
    pipeline = new_pipeline()
    with start_status_server(0, pipelines=[pipeline]) as server:
        assert get_json(server.http_port, "/health").status == 200
        server._sockets.stop()
        wait_until(lambda: get_json(server.http_port, "/health").status == 503)
        body = get_json(server.http_port, "/health").body
        assert body["status"] == body["socket_io"]["status"] == "down"
        assert body["http"]["status"] == "ok"
        assert body["clients"] is None
        assert "refused" in body["socket_io"]["error"]
        pipeline.update(status="still reporting")
        assert get_json(server.http_port, "/status").body["status"] == "still reporting"


def test_health_is_503_while_the_socket_io_loop_hangs() -> None:
    hang = threading.Event()
    with start_status_server(0, pipelines=[]) as server:
        server._sockets.hub.call(lambda: _ignore(hang.wait(60)))  # its one thread does nothing else meanwhile
        try:
            wait_until(lambda: get_json(server.http_port, "/health").status == 503)
            assert "no answer within" in get_json(server.http_port, "/health").body["socket_io"]["error"]
        finally:
            hang.set()
        wait_until(lambda: get_json(server.http_port, "/health").status == 200)


# -- who may see it ----------------------------------------------------------------------------------------------------

TOKEN = "a-token-of-the-house"


@pytest.mark.parametrize(("host", "token", "said"), [("0.0.0.0", "", 1), ("0.0.0.0", TOKEN, 0), ("127.0.0.1", "", 0)])
def test_a_service_that_is_open_to_more_than_this_machine_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, token: str, said: int
) -> None:
    monkeypatch.setenv("STATUS_AUTH_TOKEN", token)
    with start_status_server(0, host=host, pipelines=[]) as server:
        get_json(server.http_port, "/health")
        get_json(server.http_port, "/status")
    lines = [record.getMessage() for record in caplog.records if "STATUS_AUTH_TOKEN" in record.getMessage()]
    assert len(lines) == said
    assert all(host in line and "\n" not in line for line in lines)


def test_the_token_of_the_environment_is_asked_for_and_kept_out_of_what_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STATUS_AUTH_TOKEN", f"{TOKEN},another-{TOKEN}")
    with start_status_server(0, pipelines=[]) as server:
        assert get_json(server.http_port, "/status").status == 401
        assert TOKEN not in repr(server._settings)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("STATUS_AUTH_TOKEN", "too-short"),
        ("STATUS_AUTH_TOKEN", f"{TOKEN},short"),
        ("STATUS_JWT_SECRET", "hush-and-too-short"),
        ("STATUS_JWT_SECRET", "-----BEGIN PUBLIC KEY-----\nhushhush\n-----END PUBLIC KEY-----"),
        ("STATUS_JWKS_URL", "http://id.example.com/hush"),
    ],
)
def test_a_secret_that_can_not_be_used_stops_the_start_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    before = native_threads()
    monkeypatch.setenv(key, value)
    with pytest.raises(ConfigurationError, match=rf"^{key}\b") as caught:
        start_status_server(0, pipelines=[])
    assert "\n" not in str(caught.value)
    assert "short" not in str(caught.value)
    assert "hush" not in str(caught.value)
    wait_until(lambda: native_threads() <= before)


def test_a_service_that_starts_after_its_pipeline_knows_the_files_that_are_shown(tmp_path: Path) -> None:
    pipeline = new_pipeline()
    for n in range(5):
        pipeline.add_processing_file(f"flying {n}")
        pipeline.complete_file(f"done {n}")
    with start_status_server(0, pipelines=[pipeline], state_dir=tmp_path) as server:
        pipeline.complete_file("flying 0")
        wait_until(lambda: len(get_json(server.http_port, "/files?status=completed")[1]["files"]) == 6)
        assert len(get_json(server.http_port, "/files?status=processing")[1]["files"]) == 4
