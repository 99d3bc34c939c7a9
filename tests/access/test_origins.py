"""Allowed origins in development and production, and the log of refused ones."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access import origins
from rag_pipeline.access.origins import OriginPolicy, normalise, request_scheme
from rag_pipeline.common.config import Environment, Settings

PRODUCTION = Environment.PRODUCTION


def policy(*configured: str, environment: Environment = Environment.DEVELOPMENT, port: int = 8003) -> OriginPolicy:
    return OriginPolicy(Settings(environment=environment, origins=configured), port)


def allows(of: OriginPolicy, origin: str, host: str | None = None, scheme: str = "http") -> bool:
    return of.allows(origin, host=host, scheme=scheme)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "rest",
    [
        *(f"{host}:{port}" for host in ("localhost", "127.0.0.1") for port in (3000, 5173, 8003)),
        "[::1]:8003",
    ],
)
def test_development_allows_frontends_and_the_dashboard_on_loopback(scheme: str, rest: str) -> None:
    assert allows(policy(), f"{scheme}://{rest}")
    assert not allows(policy(environment=PRODUCTION), f"{scheme}://{rest}")


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:3001",
        "http://localhost:5174",
        "http://[::1]:5173",
        "http://localhost:3000.evil.test",
        "http://evil.test",
        "null",
        "",
    ],
)
def test_development_refuses_everything_else(origin: str) -> None:
    assert not allows(policy(), origin)


@pytest.mark.parametrize("environment", list(Environment))
def test_configured_origins_are_allowed_exactly(environment: Environment) -> None:
    configured = policy("https://app.example.com", "https://b.example.com:8443", environment=environment)
    assert allows(configured, "https://app.example.com")
    assert allows(configured, "https://APP.example.com:443")
    assert allows(configured, "https://b.example.com:8443")
    for origin in ("http://app.example.com", "https://example.com", "https://app.example.com.evil.test", "null"):
        assert not allows(configured, origin)


def test_a_dashboard_on_the_default_port_is_allowed_as_browsers_name_it() -> None:
    assert allows(policy(port=80), "http://localhost")


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "allowed"),
    [
        ("http://status.test", "status.test", "http", True),
        ("http://status.test", "status.test:80", "http", True),
        ("http://status.test:80", "STATUS.test", "http", True),
        ("https://status.test", "status.test:443", "https", True),
        ("https://status.test", "status.test", "http", False),
        ("http://status.test:8003", "status.test:8004", "http", False),
        ("http://[fe80::1]:8003", "[fe80::1]:8003", "http", True),
        ("http://", "", "http", False),
        ("null", "null", "http", False),
        ("http://a b", "a b", "http", False),
        ("http://status.test", None, "http", False),
    ],
)
def test_the_same_origin_is_always_allowed(origin: str, host: str | None, scheme: str, allowed: bool) -> None:
    assert allows(policy(environment=PRODUCTION), origin, host, scheme) is allowed


def test_a_star_allows_every_origin_except_in_production() -> None:
    assert allows(policy("*"), "http://anything.test")
    assert allows(policy("*"), "null")
    assert not allows(policy("*", environment=PRODUCTION), "http://anything.test")


@pytest.mark.parametrize(
    ("header", "scheme"),
    [(None, "http"), ("https", "https"), ("HTTPS, http", "https"), ("", "http"), ("ftp", "http"), (",https", "http")],
)
def test_the_scheme_comes_from_the_first_proxy(header: str | None, scheme: str) -> None:
    assert request_scheme(header) == scheme


def test_a_refused_origin_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    refusing = policy()
    for _ in range(3):
        allows(refusing, "http://evil.test")
    allows(refusing, "http://other.test")
    assert [(r.name, r.levelno, r.getMessage()) for r in caplog.records] == [
        (
            "rag_pipeline.origins",
            logging.WARNING,
            f"origin '{origin}' is refused; to allow it, add it to SOCKET_IO_CORS_ORIGIN",
        )
        for origin in ("http://evil.test", "http://other.test")
    ]


NO_ORIGINS = [
    "null",
    "file://",
    "",
    "http://",
    "http://a:99999",
    "chrome-extension://abc",
    "capacitor://localhost",
    "*",
]
ANY_ORIGIN = st.from_regex(r"\A(https?|file|HTTP)://[a-z0-9.:\[\]-]{0,12}(:[0-9]{1,6})?/?\Z") | st.text(max_size=30)


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_the_log_never_advises_to_add_an_origin_without_a_name(origin: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not allows(policy(), origin)
    (line,) = (record.getMessage() for record in caplog.records)
    assert "add it" not in line
    assert "serve the page over http or https" in line


@given(ANY_ORIGIN)
def test_an_origin_that_the_log_advises_to_add_is_accepted_by_the_setting(origin: str) -> None:
    if "add it" not in origins._advice(origin):
        return
    settings = Settings.from_env({"SOCKET_IO_CORS_ORIGIN": origin, "ENVIRONMENT": "production"})
    assert allows(OriginPolicy(settings, 8003), origin)


def test_a_logged_origin_is_one_bounded_line(caplog: pytest.LogCaptureFixture) -> None:
    allows(policy(), "http://evil\r\nINFO all is well\x1b[0m\ud800" + "x" * 100_000)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.isprintable()
    assert len(line) < 400


def test_the_number_of_logged_origins_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    refusing = policy()
    for number in range(origins.REMEMBERED_REFUSALS + 50):
        allows(refusing, f"http://evil{number}.test")
    assert len(caplog.records) == origins.REMEMBERED_REFUSALS


def test_production_without_origins_logs_a_line() -> None:
    line = policy(environment=PRODUCTION).describe()
    assert line is not None
    assert "SOCKET_IO_CORS_ORIGIN" in line
    assert policy("https://app.test", environment=PRODUCTION).describe() is None
    assert policy().describe() is None


def test_an_allowed_origin_is_echoed_without_credentials() -> None:
    headers = policy().headers("http://localhost:3000", host=None, scheme="http")
    assert headers == {"Vary": "Origin", "Access-Control-Allow-Origin": "http://localhost:3000"}


def test_answers_vary_by_origin_even_without_one() -> None:
    assert policy().headers(None, host=None, scheme="http") == {"Vary": "Origin"}
    assert policy().headers("http://evil.test", host=None, scheme="http") == {"Vary": "Origin"}
    assert policy().preflight_headers("http://evil.test", host=None, scheme="http") == {"Vary": "Origin"}


def test_a_star_never_echoes_an_invalid_origin() -> None:
    headers = policy("*").headers("null\r\nSet-Cookie: a=b", host=None, scheme="http")
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_a_preflight_names_methods_headers_and_age() -> None:
    assert policy().preflight_headers("http://localhost:3000", host=None, scheme="http") == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": "http://localhost:3000",
        "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Headers": origins.ALLOWED_HEADERS,
        "Access-Control-Max-Age": "600",
    }


def test_a_preflight_names_the_methods_of_its_address() -> None:
    headers = policy().preflight_headers("http://localhost:3000", host=None, scheme="http", methods="POST, OPTIONS")
    assert headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"


def test_an_origin_that_may_not_act_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    star = policy("*")
    assert not star.may_act("http://evil.test", host="evil.test", scheme="http", fetch_site="same-origin")
    assert [record.getMessage() for record in caplog.records] == [
        "origin 'http://evil.test' is refused; to allow it, add it to SOCKET_IO_CORS_ORIGIN"
    ]


@given(st.text() | st.from_regex(r"https?://\S{0,20}"), st.none() | st.text())
def test_any_origin_gets_a_decision_and_safe_headers(origin: str, host: str | None) -> None:
    named = normalise(origin)
    assert named is None or normalise(named) == named
    for value in policy("*").headers(origin, host=host, scheme="http").values():
        assert value.isprintable()
        assert value.isascii()
