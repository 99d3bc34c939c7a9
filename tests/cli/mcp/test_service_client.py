"""Reading JSON from a service, and its refusals in one line."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.cli.mcp.service_client import ServiceClient
from rag_pipeline.errors import AccessDeniedError, ConfigurationError, UnreachableError
from tests.support.ports import taken_port

TOKEN = "a-token-of-enough-length-for-everybody"


def test_objects_are_read_and_parameters_sent() -> None:
    with closing(PipelineStatus("local_files", "p")) as status, start_status_server(0, pipelines=[status]) as server:
        client = ServiceClient(server.url, None)
        assert client.get("/status", {"summary": "true"})["pipeline_id"] == "p"
        assert client.get("/files", {"status": None, "limit": 3})["files"] == []
        with pytest.raises(UnreachableError, match="limit='0': expected"):
            client.get("/files", {"limit": 0})


def test_a_missing_token_is_named_and_one_from_a_file_is_read_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUS_AUTH_TOKEN", TOKEN)
    with start_status_server(0, pipelines=[]) as server:
        with pytest.raises(AccessDeniedError, match="a token is needed"):
            ServiceClient(server.url, None).get("/status")
        tokens = ["wrong", TOKEN]
        client = ServiceClient(server.url, lambda: tokens.pop(0))
        with pytest.raises(AccessDeniedError):
            client.get("/status")
        assert "pipelines" in client.get("/status")


def test_no_service_is_one_line() -> None:
    with taken_port() as port, pytest.raises(UnreachableError, match=r"no service at|is not the service"):
        ServiceClient(f"http://127.0.0.1:{port + 1}", None).get("/status")
    with pytest.raises(ConfigurationError):
        ServiceClient("ftp://example.com", None)
