"""Settings: defaults, accepted values, and the error line of a bad value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.common.config import AuthSettings, Environment, Settings
from rag_pipeline.errors import ConfigurationError


def read(**env: str) -> Settings:
    return Settings.from_env(env)


def test_nothing_set_is_the_default_on_loopback() -> None:
    assert read() == Settings()
    assert (Settings().host, Settings().http_port, Settings().socket_port) == ("127.0.0.1", 8003, 8004)
    assert Settings().transports == ("websocket", "polling")
    assert Settings().state_dir is None


def test_empty_variables_count_as_unset() -> None:
    names = ("ENVIRONMENT", "SOCKET_IO_CORS_ORIGIN", "SOCKET_IO_TRANSPORTS", "STATUS_HOST", "STATUS_PORT")
    more = ("SOCKET_IO_PORT", "STATUS_STATE_DIR", "RAG_PIPELINE_ID")
    assert Settings.from_env(dict.fromkeys((*names, *more), "  ")) == Settings()


@pytest.mark.parametrize("value", ["1", " 1 ", "true", "TRUE", "yes", "on"])
def test_control_is_on_if_the_variable_says_so(value: str) -> None:
    assert read(STATUS_CONTROL=value).control is True


@pytest.mark.parametrize("value", ["0", "", "false", "no", "Off"])
def test_control_is_off_otherwise(value: str) -> None:
    assert read(STATUS_CONTROL=value).control is False


@pytest.mark.parametrize("key", ["STATUS_CONTROL", "STATUS_STRICT"])
@pytest.mark.parametrize("value", ["maybe", "2", "-1"])
def test_a_flag_that_is_neither_on_nor_off_is_an_error(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(**{key: value})
    assert str(error.value) == f"{key}={value!r}: expected 1 or 0"


def test_the_socket_port_follows_the_http_port() -> None:
    assert read(STATUS_PORT="9000").socket_port == 9001
    assert Settings.from_env({}, http_port=9000).socket_port == 9001
    assert read(STATUS_PORT="9000", SOCKET_IO_PORT="9100").socket_port == 9100


def test_port_0_picks_two_free_ports() -> None:
    settings = Settings.from_env({"SOCKET_IO_PORT": "9100"}, http_port=0)
    assert (settings.http_port, settings.socket_port) == (0, 0)
    assert read(STATUS_PORT="0").socket_port == 0


def test_arguments_override_the_environment() -> None:
    env = {"STATUS_PORT": "1", "SOCKET_IO_PORT": "2", "STATUS_HOST": "0.0.0.0"}
    settings = Settings.from_env(env, http_port=3, socket_port=4, host="::1")
    assert (settings.http_port, settings.socket_port, settings.host) == (3, 4, "::1")


def test_all_variables_are_read() -> None:
    settings = read(
        ENVIRONMENT="Production",
        SOCKET_IO_CORS_ORIGIN=" https://app.example.com , http://Other.Example.com:80/ ,https://app.example.com:443",
        SOCKET_IO_TRANSPORTS="polling",
        STATUS_HOST="0.0.0.0",
        STATUS_STATE_DIR="~/state",
        RAG_PIPELINE_ID="team-a",
    )
    assert settings.environment is Environment.PRODUCTION
    assert settings.origins == ("https://app.example.com", "http://other.example.com")
    assert settings.transports == ("polling",)
    assert settings.host == "0.0.0.0"
    assert settings.state_dir == Path.home() / "state"
    assert settings.pipeline_id == "team-a"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ENVIRONMENT", "staging"),
        ("STATUS_PORT", "80a"),
        ("STATUS_PORT", "-1"),
        ("STATUS_PORT", "65536"),
        ("STATUS_PORT", "65535"),  # no port is left for Socket.IO
        ("STATUS_PORT", "٨٠"),
        ("SOCKET_IO_PORT", "65536"),
        ("SOCKET_IO_PORT", "8003"),
        ("SOCKET_IO_PORT", "1e3"),
        ("SOCKET_IO_TRANSPORTS", "websocket,carrier-pigeon"),
        ("SOCKET_IO_TRANSPORTS", "WebSocket"),
        ("SOCKET_IO_TRANSPORTS", ","),
        ("SOCKET_IO_CORS_ORIGIN", "app.example.com"),
        ("SOCKET_IO_CORS_ORIGIN", "ftp://app.example.com"),
        ("SOCKET_IO_CORS_ORIGIN", "https://app.example.com/path"),
        ("SOCKET_IO_CORS_ORIGIN", "https://*.example.com"),
        ("SOCKET_IO_CORS_ORIGIN", "https://user@app.example.com"),
        ("SOCKET_IO_CORS_ORIGIN", "https://@app.example.com"),
        ("SOCKET_IO_CORS_ORIGIN", "https://app.example.com:99999"),
        ("SOCKET_IO_CORS_ORIGIN", "https://app example.com"),
        ("SOCKET_IO_CORS_ORIGIN", "https://"),
        ("SOCKET_IO_CORS_ORIGIN", "http://[::1"),
        ("SOCKET_IO_CORS_ORIGIN", "null"),
        ("RAG_PIPELINE_ID", "a\nb"),
        ("RAG_PIPELINE_ID", "x" * 201),
        ("STATUS_BACKLOG_BYTES", "1"),
        ("STATUS_EVENT_STREAMS", "-1"),
        ("STATUS_EVENT_STREAMS", "many"),
    ],
)
def test_a_bad_value_raises_one_line_with_variable_value_and_expectation(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**{key: value})
    message = str(caught.value)
    assert message.startswith(f"{key}=")
    assert ": expected " in message
    assert "\n" not in message
    assert value.strip()[:20] in message or repr(value)[1:-1][:20] in message


def test_a_star_origin_is_an_error_in_production() -> None:
    assert read(SOCKET_IO_CORS_ORIGIN="*").origins == ("*",)
    with pytest.raises(ConfigurationError, match="outside production only"):
        read(SOCKET_IO_CORS_ORIGIN="*", ENVIRONMENT="production")


def test_ipv6_origins_keep_their_brackets() -> None:
    assert read(SOCKET_IO_CORS_ORIGIN="http://[::1]:3000").origins == ("http://[::1]:3000",)


@pytest.mark.parametrize("port", [True, -1, 65536, 3.5, "8003"])
def test_the_error_names_a_bad_port_argument(port: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^port="):
        Settings.from_env({}, http_port=port, socket_port=5)  # type: ignore[arg-type]


@given(st.dictionaries(st.sampled_from(["STATUS_PORT", "SOCKET_IO_PORT", "SOCKET_IO_CORS_ORIGIN"]), st.text()))
def test_any_value_works_or_raises_one_line(env: dict[str, str]) -> None:
    refused, settings = None, Settings()
    try:
        settings = Settings.from_env(env)
    except ConfigurationError as error:
        refused = error
    assert refused is None or len(str(refused).splitlines()) == 1
    assert all(origin == "*" or origin.startswith(("http://", "https://")) for origin in settings.origins)


def test_an_international_origin_is_encoded_as_browsers_send_it() -> None:
    settings = Settings.from_env({"SOCKET_IO_CORS_ORIGIN": "https://Bücher.example"})
    assert settings.origins == ("https://xn--bcher-kva.example",)


def test_the_error_of_a_port_out_of_range_names_the_argument() -> None:
    with pytest.raises(ConfigurationError, match=r"^port=99999: expected a whole number from 0 to 65535$"):
        Settings.from_env({}, http_port=99999)


# -- access ------------------------------------------------------------------------------------------------------------

TOKEN, OTHER, SECRET = "a-token-of-the-house", "another-token-of-the-house", "a secret that is long enough for HS256"
KEYS = "https://id.example.com/.well-known/jwks.json"


def test_no_token_is_required_by_default() -> None:
    assert read().auth == AuthSettings()
    assert not AuthSettings().required
    names = ("STATUS_AUTH_TOKEN", "STATUS_JWT_SECRET", "STATUS_JWKS_URL", "STATUS_JWT_AUDIENCE", "STATUS_JWT_ISSUER")
    assert read(**dict.fromkeys(names, " ")).auth == AuthSettings()


def test_several_tokens_are_allowed_for_rotation() -> None:
    auth = read(STATUS_AUTH_TOKEN=f" {TOKEN} ,{OTHER},,{TOKEN}").auth
    assert auth == AuthSettings(tokens=(TOKEN, OTHER))
    assert auth.required


def test_jwts_are_verified_by_a_secret_or_a_jwks_url() -> None:
    auth = read(STATUS_JWT_SECRET=SECRET, STATUS_JWT_AUDIENCE="status", STATUS_JWT_ISSUER="https://id.example.com").auth
    assert auth == AuthSettings(jwt_secret=SECRET, jwt_audience="status", jwt_issuer="https://id.example.com")
    assert auth.required
    assert read(STATUS_JWKS_URL=KEYS, STATUS_AUTH_TOKEN=TOKEN).auth == AuthSettings(tokens=(TOKEN,), jwks_url=KEYS)


@pytest.mark.parametrize(
    "url",
    [
        KEYS,
        "https://id.example.com:8443/keys?tenant=a",
        "http://localhost:9000/k",
        "http://127.0.0.1/",
        "http://[::1]:1/",
    ],
)
def test_a_jwks_url_must_be_https_or_loopback(url: str) -> None:
    assert read(STATUS_JWKS_URL=url).auth.jwks_url == url


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("STATUS_AUTH_TOKEN", "fifteen-letters"),
        ("STATUS_AUTH_TOKEN", f"{TOKEN},short"),
        ("STATUS_AUTH_TOKEN", ","),
        ("STATUS_AUTH_TOKEN", "with spaces between its words"),
        ("STATUS_AUTH_TOKEN", '"quoted-by-mistake-here"'),
        ("STATUS_AUTH_TOKEN", "ünïcödé-is-nö-töken"),
        ("STATUS_AUTH_TOKEN", "x" * 513),
        ("STATUS_JWT_SECRET", "x" * 31),
        ("STATUS_JWKS_URL", "http://id.example.com/keys"),
        ("STATUS_JWKS_URL", "http://127.0.0.1.example.com/keys"),
        ("STATUS_JWKS_URL", "http://localhost@example.com/keys"),
        ("STATUS_JWKS_URL", "https://user:hush@id.example.com/keys"),
        ("STATUS_JWKS_URL", "https://id.example.com:99999/keys"),
        ("STATUS_JWKS_URL", "https://id.example.com/keys#hush"),
        ("STATUS_JWKS_URL", "https://[::1/keys"),
        ("STATUS_JWKS_URL", "https:///keys"),
        ("STATUS_JWKS_URL", "file:///etc/passwd"),
        ("STATUS_JWKS_URL", "id.example.com/keys"),
    ],
)
def test_the_error_names_a_bad_secret_without_its_value(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**{key: value})
    message = str(caught.value)
    assert message.startswith(f"{key}: expected ")
    assert len(message.splitlines()) == 1
    for part in filter(None, value.split(",")):
        assert part not in message


def test_a_jwt_secret_and_a_jwks_url_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match=r"^STATUS_JWT_SECRET and STATUS_JWKS_URL are both set") as caught:
        read(STATUS_JWT_SECRET=SECRET, STATUS_JWKS_URL=KEYS)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("key", ["STATUS_JWT_AUDIENCE", "STATUS_JWT_ISSUER"])
def test_claims_without_a_key_are_an_error(key: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"^{key}='ours': expected STATUS_JWT_SECRET or STATUS_JWKS_URL beside it"
    ):
        read(**{key: "ours", "STATUS_AUTH_TOKEN": TOKEN})


def test_repr_shows_no_secrets() -> None:
    settings = read(STATUS_AUTH_TOKEN=TOKEN, STATUS_JWT_SECRET=SECRET, STATUS_REDIS_URL="redis://:hush@127.0.0.1")
    shown = f"{settings!r} {settings} {settings.auth!r} {read(STATUS_JWKS_URL=KEYS)!r}"
    for secret in (TOKEN, SECRET, "hush", KEYS):
        assert secret not in shown


@given(
    st.dictionaries(
        st.sampled_from(["STATUS_AUTH_TOKEN", "STATUS_JWT_SECRET", "STATUS_JWKS_URL", "STATUS_JWT_ISSUER"]),
        st.text() | st.from_regex(r"https?://[a-z0-9.:\[\]@/#?-]{0,20}", fullmatch=True),
    )
)
def test_any_secret_works_or_raises_one_line(env: dict[str, str]) -> None:
    refused, auth = None, AuthSettings()
    try:
        auth = Settings.from_env(env).auth
    except ConfigurationError as error:
        refused = error
    if refused is None:
        assert auth.required or not any(value.strip() for value in env.values())
    else:
        assert len(str(refused).splitlines()) == 1


def test_tokens_and_urls_can_be_read_from_files(tmp_path: Path) -> None:
    for name, text in (("token", "0123456789abcdef,fedcba9876543210\n"), ("redis", "redis://:password@host/0\n")):
        (tmp_path / name).write_text(text)
    env = {"STATUS_AUTH_TOKEN_FILE": str(tmp_path / "token"), "STATUS_REDIS_URL_FILE": str(tmp_path / "redis")}
    settings = Settings.from_env(env)
    assert settings.auth.tokens == ("0123456789abcdef", "fedcba9876543210")
    assert settings.redis_url == "redis://:password@host/0"
