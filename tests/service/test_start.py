"""start_status_server: its ports, settings and tokens, and a second start on the same ports."""

from __future__ import annotations

import itertools
import socket
import threading
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.errors import ConfigurationError, PortInUseError
from rag_pipeline.service import StatusServer, start_status_server
from tests.service.support import TOKEN, assert_answers, new_pipeline
from tests.support.http_get import get_json
from tests.support.ports import free_port_pair, taken_port
from tests.support.processes import native_threads
from tests.support.waiting import wait_until

RUNS = itertools.count()


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


def test_port_0_picks_two_free_ports_regardless_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.slow
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


def test_a_start_on_one_port_of_a_running_server_fails_and_leaves_that_server_alone() -> None:
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
        ("STATUS_STRICT", "maybe"),
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
def test_an_invalid_port_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match="port"):
        start_status_server(port, pipelines=[])


# -- a second start ----------------------------------------------------------------------------------------------------


def ignored_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "settings of the new call are ignored" in r.getMessage()]


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


def test_ignored_settings_of_a_second_start_are_logged_once(
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


def test_a_notebook_cell_that_runs_again_shows_its_new_pipeline() -> None:
    port = free_port_pair()

    def cell() -> StatusServer:
        pipeline = PipelineStatus("local_files", "of-a-cell")
        server = start_status_server(port, pipelines=[pipeline])
        pipeline.update(status="running", own={"run": next(RUNS)})
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


@pytest.mark.slow
@pytest.mark.parametrize("which", ["http", "socket"])
def test_a_taken_port_says_how_to_choose_another(which: str) -> None:
    with taken_port() as taken:
        ports = (taken, 0) if which == "http" else (0, taken)
        with pytest.raises(PortInUseError) as caught:
            start_status_server(ports[0], socket_port=ports[1], pipelines=[])
    named = ("port=", "STATUS_PORT", "--port") if which == "http" else ("socket_port=", "SOCKET_IO_PORT")
    assert all(word in str(caught.value) for word in named)


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "token", "said"), [("0.0.0.0", "", 1), ("0.0.0.0", TOKEN, 0), ("127.0.0.1", "", 0)])
def test_a_service_exposed_beyond_this_machine_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, token: str, said: int
) -> None:
    monkeypatch.setenv("STATUS_AUTH_TOKEN", token)
    with start_status_server(0, host=host, pipelines=[]) as server:
        get_json(server.http_port, "/health")
        get_json(server.http_port, "/status")
    lines = [record.getMessage() for record in caplog.records if "STATUS_AUTH_TOKEN" in record.getMessage()]
    assert len(lines) == said
    assert all(host in line and "\n" not in line for line in lines)


def test_the_token_of_the_environment_is_required_and_never_printed(
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
def test_an_unusable_secret_stops_the_start_and_is_not_repeated(
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
