from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.cli.remote_service import default_url, read_token, unknown_pipelines, with_token_advice
from rag_pipeline.errors import AccessDeniedError, ConfigurationError


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9003"),
        ("0.0.0.0", "http://127.0.0.1:9003"),
        ("::1", "http://[::1]:9003"),
        ("::", "http://[::1]:9003"),
    ],
)
def test_the_url_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    monkeypatch.setenv("STATUS_HOST", host)
    monkeypatch.setenv("STATUS_PORT", "9003")
    assert default_url() == url


def test_without_a_file_the_token_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATUS_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("STATUS_TOKEN", "0123456789abcdef")
    assert read_token(None) == "0123456789abcdef"


def test_a_token_file_is_read_again_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    token = read_token(file)
    assert callable(token)
    assert token() == "first"
    file.write_text(" second ")
    assert token() == "second"


@pytest.mark.parametrize(("content", "problem"), [(None, "can't be read"), (b"", "is empty"), (b"\xff", "not text")])
def test_a_token_file_without_a_token_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem) as raised:
        read_token(file)
    assert str(file) in str(raised.value)


def test_advice_goes_only_with_errors_that_a_token_mends() -> None:
    missing = with_token_advice(AccessDeniedError("no token", code="token_missing"))
    assert "STATUS_TOKEN" in str(missing)
    namespace = AccessDeniedError("not yours", code="namespace_not_allowed")
    assert with_token_advice(namespace) is namespace


def test_an_unknown_pipeline_is_named_with_those_there_are() -> None:
    assert unknown_pipelines(["x"], ["b", "a"]) == "the service has no pipeline x: it has a, b"
    assert unknown_pipelines(["x", "y"], []) == "the service has no pipeline x, y: it has none yet"
