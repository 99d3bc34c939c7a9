from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.client.service_url import ServiceUrl, parse_url
from rag_pipeline.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "parsed", "text"),
    [
        ("http://127.0.0.1:8004", ServiceUrl("http", "127.0.0.1", 8004), "http://127.0.0.1:8004"),
        ("https://Status.example.com/", ServiceUrl("https", "status.example.com", 443), "https://status.example.com"),
        ("http://[::1]:8004/rag/", ServiceUrl("http", "::1", 8004, "/rag"), "http://[::1]:8004/rag"),
    ],
)
def test_a_url_is_parsed_and_normalized(url: str, parsed: ServiceUrl, text: str) -> None:
    assert parse_url(url) == parsed
    assert str(parse_url(url)) == text


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8004", "ftp://a", "http://", "http://a:port", "http://a:0", "http://a/?x=1", "http://[::1"]
)
def test_an_unusable_url_is_an_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected http"):
        parse_url(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_url("http://user:hunter2@127.0.0.1:8004")
    assert "hunter2" not in str(refused.value)


@given(st.text())
def test_any_text_is_parsed_or_is_a_configuration_error(url: str) -> None:
    try:
        assert parse_url(str(parse_url(url))) == parse_url(url)
    except ConfigurationError:
        pass


def test_loopback_hosts_are_recognized() -> None:
    assert [parse_url(f"http://{host}").loopback for host in ("localhost", "127.0.0.2", "[::1]", "example.com")] == [
        True,
        True,
        True,
        False,
    ]
