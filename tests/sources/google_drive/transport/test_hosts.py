"""Which hosts may receive a token, a secret and a redirect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.google_drive.transport.hosts import (
    may_receive_secret,
    may_receive_token,
    may_redirect_to,
    parse_origin,
)

GOOGLE = "https://www.googleapis.com"
HERE = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    "url",
    [
        "https://www.googleapis.com/drive/v3/files",
        "https://docs.google.com/feeds/download/documents/export/Export?id=1",
        "https://docs.google.com:443/spreadsheets/export",
        "https://drive.google.com/uc?id=1",
    ],
)
def test_drive_s_own_hosts_may_receive_the_token(url: str) -> None:
    assert may_receive_token(url, GOOGLE)
    assert may_redirect_to(url, GOOGLE)


@pytest.mark.parametrize(
    "url",
    [
        "http://www.googleapis.com/drive/v3/files",
        "https://www.googleapis.com.example.com/",
        "https://www.googleapis.com@example.com/",
        "https://example.com\\@www.googleapis.com/",
        "https://www.googleapis.com:8443/",
        "https://evil-docs.google.com.attacker.net/",
        "https://sites.google.com/",
        "https://accounts.google.com/ServiceLogin",
        "http://127.0.0.1/",
        "ftp://docs.google.com/",
        "//docs.google.com/",
        "https://[::1",
        "",
    ],
)
def test_other_hosts_receive_neither_token_nor_redirect(url: str) -> None:
    assert not may_receive_token(url, GOOGLE)
    assert not may_redirect_to(url, GOOGLE)


@pytest.mark.parametrize(
    "url",
    ["https://doc-0s-docs.googleusercontent.com/docs/securesc/x", "https://drive.usercontent.google.com/download"],
)
def test_redirects_to_content_servers_are_followed_without_the_token(url: str) -> None:
    assert may_redirect_to(url, GOOGLE)
    assert not may_receive_token(url, GOOGLE)
    assert not may_redirect_to(url.replace("https:", "http:"), GOOGLE)


def test_a_loopback_server_receives_the_token_only_on_its_own_port_and_may_redirect_on_loopback() -> None:
    assert may_receive_token("http://127.0.0.1:8080/drive/v3/files", HERE)
    for other in ("http://127.0.0.1:8081/", "http://localhost:8080/", "https://127.0.0.1:8080/"):
        assert not may_receive_token(other, HERE)
        assert may_redirect_to(other, HERE)
    assert not may_redirect_to("http://10.0.0.1/", HERE)


def test_secrets_are_sent_only_to_google_over_tls_or_to_this_machine() -> None:
    assert may_receive_secret("https://oauth2.googleapis.com/token")
    assert may_receive_secret("https://accounts.google.com/o/oauth2/auth")
    assert may_receive_secret("http://127.0.0.1:4321/token")
    assert may_receive_secret("http://[::1]:4321/token")
    assert not may_receive_secret("http://oauth2.googleapis.com/token")
    assert not may_receive_secret("https://oauth2.googleapis.com.example.com/token")
    assert not may_receive_secret("http://127.0.0.1.example.com/token")


@pytest.mark.slow
@given(st.text() | st.from_regex(r"https?://[\w.@:\\/\[\]-]{0,40}"))
def test_any_text_can_be_parsed_for_an_origin(url: str) -> None:
    origin = parse_origin(url)
    assert origin is None or origin[0] in ("http", "https")
