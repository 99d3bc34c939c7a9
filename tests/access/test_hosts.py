"""DNS rebinding: the host names under which a service without a token answers."""

from __future__ import annotations

import http.client
import logging
import socket
from collections.abc import Iterator

import pytest

from rag_pipeline.access.hosts import HostPolicy
from rag_pipeline.common.config import Settings
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.service import StatusServer, start_status_server
from rag_pipeline.status.pipeline import PipelineStatus

SETTINGS = Settings.from_env(
    {
        "STATUS_HOST": "status.corp.example",
        "SOCKET_IO_CORS_ORIGIN": "https://app.example.com:8443",
        "STATUS_ALLOWED_HOSTS": "Proxy.example.com, *.svc.cluster.local",
    }
)
OURS = [
    *("127.0.0.1", "127.0.0.1:8003", "localhost", "LocalHost:8003", "localhost.", "app.localhost", "[::1]:8003"),
    *("192.168.1.5:8003", "[fe80::1]", "status.corp.example", "app.example.com", "app.example.com:1"),
    *("proxy.example.com", "PROXY.example.com.:443", "a.b.svc.cluster.local", socket.gethostname()),
]
THEIRS = [
    *("evil.example", "evil.example:8003", "localhost.evil.example", "127.0.0.1.evil.example", "evillocalhost"),
    *(
        "sub.proxy.example.com",
        "svc.cluster.local",
        "example.com",
        "",
        " ",
        "evil.example@localhost",
    ),
    *("localhost, evil.example", "evil", "\xe9", "a" * 300, "1.2.3", "0x7f.1", "localhost/evil", "http://localhost"),
]


@pytest.mark.parametrize("host", OURS)
def test_the_services_own_names_are_answered(host: str) -> None:
    assert HostPolicy(SETTINGS, "127.0.0.1", token_required=False).refusal(host) is None


@pytest.mark.parametrize("host", THEIRS)
def test_any_other_name_is_refused(host: str) -> None:
    wrong = HostPolicy(SETTINGS, "127.0.0.1", token_required=False).refusal(host)
    assert wrong is not None
    assert wrong.isprintable()
    assert "STATUS_ALLOWED_HOSTS" in wrong


def test_names_of_containers_are_answered_where_containers_can_come_from() -> None:
    assert HostPolicy(Settings(), "0.0.0.0", token_required=False).refusal("status:8003") is None
    assert HostPolicy(Settings(), "172.17.0.2", token_required=False).refusal("status:8003") is None
    assert HostPolicy(Settings(), "::1", token_required=False).refusal("status:8003") is not None
    assert HostPolicy(Settings(), "0.0.0.0", token_required=False).refusal("evil.example") is not None


def test_who_has_to_show_a_token_may_come_by_any_name() -> None:
    assert HostPolicy(Settings(), "127.0.0.1", token_required=True).refusal("evil.example") is None


def test_a_refusal_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    policy = HostPolicy(Settings(), "127.0.0.1", token_required=False)
    for number in range(1000):
        policy.refusal(f"{number}.evil.example\n")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith("host '0.evil.example\\n' is refused; ")
    assert "STATUS_ALLOWED_HOSTS" in record.message


@pytest.mark.parametrize("value", ["https://a.example", "a.example:8003", "*", "a b", "*.", "a.*.b", "a/b", "x" * 300])
def test_a_bad_setting_stops_the_start(value: str) -> None:
    with pytest.raises(ConfigurationError, match="STATUS_ALLOWED_HOSTS"):
        Settings.from_env({"STATUS_ALLOWED_HOSTS": value})


def test_a_name_that_is_not_ascii_is_taken_as_browsers_send_it() -> None:
    assert Settings.from_env({"STATUS_ALLOWED_HOSTS": "münchen.example"}).allowed_hosts == ("xn--mnchen-3ya.example",)


# -- a page whose name was pointed here, against a service as it is started --------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[StatusServer]:
    with start_status_server(0, pipelines=[PipelineStatus("local_files", "rebound")]) as running:
        yield running


def ask(port: int, target: str, host: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("GET", target, skip_host=True)
    for name, value in {"Host": host, **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    found = connection.getresponse()
    body = b"" if found.status == 101 else found.read()
    connection.close()
    return found.status, body


WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec_WebSocket_Version": "13",
}


@pytest.mark.parametrize("target", ["/", "/status", "/files", "/events", "/health", "/metrics", "/openapi.json"])
def test_a_rebound_page_reads_nothing_over_http(server: StatusServer, target: str) -> None:
    status, body = ask(server.http_port, target, f"evil.example:{server.http_port}")
    assert status == 421
    assert b"STATUS_ALLOWED_HOSTS" in body
    assert b"rebound" not in body
    assert ask(server.http_port, target, f"localhost:{server.http_port}")[0] == 200


def test_what_a_page_can_add_to_its_request_does_not_help(server: StatusServer) -> None:
    added = {"X_Forwarded_Host": "localhost", "Forwarded": "host=localhost", "Origin": "http://localhost:3000"}
    assert ask(server.http_port, "/status", "evil.example", **added)[0] == 421
    assert ask(server.http_port, "http://evil.example/status", "localhost")[0] == 421
    assert ask(server.http_port, "http://localhost/status", "localhost")[0] == 200


def test_a_rebound_page_gets_no_session(server: StatusServer) -> None:
    port = server.socket_port
    polling, websocket = "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket"
    for target in (polling, "/health", "/"):
        assert ask(port, target, "evil.example")[0] == 421
    assert ask(port, websocket, "evil.example", **WEBSOCKET)[0] == 421
    assert ask(port, polling, f"localhost:{port}")[0] == 200
    assert ask(port, websocket, f"127.0.0.1:{port}", **WEBSOCKET)[0] == 101
