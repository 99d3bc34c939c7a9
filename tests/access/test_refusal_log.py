"""Refused tokens in the log, over both ports."""

from __future__ import annotations

import http.client

import pytest
import socketio

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.access.decision import EXPIRED, INVALID, MISSING
from rag_pipeline.access.refusal_log import RefusalLog

pytestmark = pytest.mark.slow

TOKEN, WRONG = "right-token-0123456789", "wrong-token-0123456789"


def test_one_line_a_minute_names_the_address(caplog: pytest.LogCaptureFixture) -> None:
    log = RefusalLog()
    log.note(MISSING, lambda: "192.0.2.1")
    for _ in range(100):
        log.note(INVALID, lambda: "192.0.2.2", "198.51.100.7\n")
        log.note(EXPIRED, lambda: "192.0.2.3")
    assert [record.message for record in caplog.records] == [
        "a token from 192.0.2.2 (X-Forwarded-For: '198.51.100.7\\n') is refused: token_invalid"
    ]


@pytest.mark.parametrize("over", ["http", "socket.io"])
def test_a_service_logs_a_refused_token_and_never_the_token(
    over: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STATUS_AUTH_TOKEN", TOKEN)
    with start_status_server(0, pipelines=[PipelineStatus("local_files", "guarded")]) as server:
        for _ in range(3):
            if over == "http":
                connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
                connection.request("GET", "/status", headers={"Authorization": f"Bearer {WRONG}"})
                assert connection.getresponse().status == 401
                connection.close()
            else:
                client = socketio.SimpleClient()
                with pytest.raises(socketio.exceptions.ConnectionError):
                    client.connect(
                        f"http://127.0.0.1:{server.socket_port}", namespace="/pipeline", auth={"token": WRONG}
                    )
    lines = [record.message for record in caplog.records if record.name == "rag_pipeline.access"]
    assert lines == ["a token from 127.0.0.1 is refused: token_invalid"]
    assert WRONG not in caplog.text
