"""Settings of the service: read once from the environment, checked, frozen.

A bad value raises :class:`ConfigurationError` with one line that names the variable, the value and what was expected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from rag_pipeline.common.env import read_choice, read_flag, read_float, read_int, read_list, read_str, reject
from rag_pipeline.common.pipeline_id import check_pipeline_id
from rag_pipeline.errors import ConfigurationError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8003
TRANSPORTS = ("websocket", "polling")

TOKEN_CHARACTERS = (16, 512)
MIN_JWT_SECRET_BYTES = 32


class Environment(StrEnum):
    """Where the service runs; decides which origins are allowed if none is configured."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class RunMode(StrEnum):
    """``continuous`` watches until it is stopped; ``single`` makes one pass and exits."""

    CONTINUOUS = "continuous"
    SINGLE = "single"


# A name in ASCII (browsers send others as xn--…) or an IPv6 address.
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
# A token that fits in a header (RFC 6750, section 2.1).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|::1")


def names_this_machine(host: str) -> bool:
    """Return whether the host is loopback by its name alone, without asking a name server."""
    return _LOOPBACK.fullmatch(host) is not None


def read_origin(text: str, environment: Environment) -> str:
    """Return the origin in the form that browsers send; raises ConfigurationError for a bad one."""
    key = "SOCKET_IO_CORS_ORIGIN"
    if text == "*":
        if environment is Environment.PRODUCTION:
            reject(key, text, "the names of origins, because * is allowed outside production only")
        return text
    expected = "comma-separated origins such as https://app.example.com (scheme, host, port; no path)"
    try:
        parts = urlsplit(text)
        port = parts.port
        # Browsers send an origin in lower case, with an ASCII host name, and without the scheme's default port.
        name = (parts.hostname or "").encode("idna").decode()
    except ValueError:
        reject(key, text, expected)
    bare = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not bare or not _HOST.fullmatch(name):
        reject(key, text, expected)
    host = f"[{name}]" if ":" in name else name
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default_port) else "")


# A name, or *. and a name, for all names below it.
_ALLOWED_HOST = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def _read_allowed_hosts(env: Mapping[str, str]) -> tuple[str, ...]:
    key = "STATUS_ALLOWED_HOSTS"
    expected = "comma-separated host names such as status.example.com or *.example.com (no scheme, port or path)"
    names = []
    for text in read_list(env, key):
        try:
            name = text.lower().removesuffix(".") if text.isascii() else text.lower().encode("idna").decode()
        except ValueError:
            reject(key, text, expected)
        if not _ALLOWED_HOST.fullmatch(name) or len(name) > 255:
            reject(key, text, expected)
        names.append(name)
    return tuple(dict.fromkeys(names))


def _read_transports(env: Mapping[str, str]) -> tuple[str, ...]:
    key = "SOCKET_IO_TRANSPORTS"
    if key not in env or not env[key].strip():
        return TRANSPORTS
    names = read_list(env, key)
    if not names or any(name not in TRANSPORTS for name in names):
        reject(key, env[key], "a comma-separated list of " + ", ".join(TRANSPORTS))
    return tuple(dict.fromkeys(names))


def _check_port(key: str, port: object) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        reject(key, port, "a whole number from 0 to 65535")


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Settings of access: which tokens may see the status. If none of them is set, no token is needed.

    ``jwt_secret`` verifies HS256; ``jwks_url`` is the address of the issuer's public keys. At most one of the two is
    set. ``repr`` shows no secrets.
    """

    tokens: tuple[str, ...] = field(default=(), repr=False)
    jwt_secret: str | None = field(default=None, repr=False)
    jwks_url: str | None = field(default=None, repr=False)
    jwt_audience: str | None = None
    jwt_issuer: str | None = None

    @property
    def required(self) -> bool:
        """Whether a token is required."""
        return bool(self.tokens or self.jwt_secret or self.jwks_url)


def _read_auth(env: Mapping[str, str]) -> AuthSettings:
    """Return the settings of access; errors never repeat a secret, nor a URL that may contain one."""
    auth = AuthSettings(
        tokens=_read_tokens(env),
        jwt_secret=_read_jwt_secret(env),
        jwks_url=_read_jwks_url(env),
        jwt_audience=read_str(env, "STATUS_JWT_AUDIENCE"),
        jwt_issuer=read_str(env, "STATUS_JWT_ISSUER"),
    )
    if auth.jwt_secret and auth.jwks_url:
        raise ConfigurationError("STATUS_JWT_SECRET and STATUS_JWKS_URL are both set: expected one of them")
    if not auth.jwt_secret and not auth.jwks_url:
        for key, value in (("STATUS_JWT_AUDIENCE", auth.jwt_audience), ("STATUS_JWT_ISSUER", auth.jwt_issuer)):
            if value is not None:
                reject(key, value, "STATUS_JWT_SECRET or STATUS_JWKS_URL beside it")
    return auth


def _read_tokens(env: Mapping[str, str]) -> tuple[str, ...]:
    key, (low, high) = "STATUS_AUTH_TOKEN", TOKEN_CHARACTERS
    tokens = read_list(env, key)
    # A variable of commas alone is an error: it was meant to protect something.
    usable = all(low <= len(token) <= high and _TOKEN.fullmatch(token) for token in tokens)
    if not usable or (not tokens and read_str(env, key) is not None):
        raise ConfigurationError(
            f"{key}: expected tokens of {low} to {high} letters, digits or - . _ ~ + / each, separated by commas"
        )
    return tuple(dict.fromkeys(tokens))


def _read_jwt_secret(env: Mapping[str, str]) -> str | None:
    key = "STATUS_JWT_SECRET"
    secret = read_str(env, key)
    if secret is not None and len(secret.encode(errors="surrogatepass")) < MIN_JWT_SECRET_BYTES:
        raise ConfigurationError(f"{key}: expected a secret of at least {MIN_JWT_SECRET_BYTES} bytes")
    return secret


def _read_jwks_url(env: Mapping[str, str]) -> str | None:
    key = "STATUS_JWKS_URL"
    url = read_str(env, key)
    if url is not None and not _is_safe_url(url):
        raise ConfigurationError(f"{key}: expected a URL that begins with https://, or with http:// on this machine")
    return url


def _is_safe_url(url: str) -> bool:
    """Return whether the URL is https, or http on loopback."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc and not parts.fragment
    if not plain or not _HOST.fullmatch(host) or port == 0:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and names_this_machine(host))


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the service.

    ``http_port`` 0 and ``socket_port`` 0 pick two free ports. ``origins`` has the configured origins only;
    :mod:`rag_pipeline.access.origins` adds those that development allows.
    """

    environment: Environment = Environment.DEVELOPMENT
    host: str = DEFAULT_HOST
    http_port: int = DEFAULT_PORT
    socket_port: int = DEFAULT_PORT + 1
    origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    transports: tuple[str, ...] = TRANSPORTS
    state_dir: Path | None = None
    pipeline_id: str | None = None
    ping_interval_seconds: int = 25
    ping_timeout_seconds: int = 20
    backlog_limit_bytes: int = 1 << 20
    event_streams: int = 500  # open at once, at most
    redis_url: str | None = field(default=None, repr=False)  # may contain a password
    heartbeat_seconds: float = 30.0
    auth: AuthSettings = AuthSettings()
    search: bool | None = None  # whether documents can be searched over HTTP; None: by those with a token
    control: bool = False  # whether pipelines can be controlled over HTTP

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] | None = None,
        *,
        http_port: int | None = None,
        socket_port: int | None = None,
        host: str | None = None,
    ) -> Settings:
        """Read the environment; arguments override it. Raises :class:`ConfigurationError`."""
        env = os.environ if env is None else env
        any_port = http_port == 0
        if http_port is None:
            http_port = read_int(env, "STATUS_PORT", DEFAULT_PORT, low=0, high=65535)
        _check_port("port", http_port)
        if socket_port is None:
            if http_port == 65535 and "SOCKET_IO_PORT" not in env:
                reject("STATUS_PORT", http_port, "a port below 65535, or SOCKET_IO_PORT beside it")
            default = 0 if http_port == 0 else http_port + 1
            # A caller who passes port 0 wants both ports to be free ones.
            socket_port = 0 if any_port else read_int(env, "SOCKET_IO_PORT", default, low=0, high=65535)
        _check_port("socket_port", socket_port)
        if http_port == socket_port != 0:
            reject("SOCKET_IO_PORT", socket_port, "another port than the HTTP server's")
        if host is not None and not isinstance(host, str):
            reject("host", host, "a host name or address of this machine")
        environment = read_choice(env, "ENVIRONMENT", Environment.DEVELOPMENT)
        origins = tuple(read_origin(o, environment) for o in read_list(env, "SOCKET_IO_CORS_ORIGIN"))
        state_dir = read_str(env, "STATUS_STATE_DIR")
        pipeline_id = read_str(env, "RAG_PIPELINE_ID")
        read_flag(env, "STATUS_STRICT")  # status calls read it, and must not fail because it is bad
        return cls(
            environment=environment,
            host=host or read_str(env, "STATUS_HOST") or DEFAULT_HOST,
            http_port=http_port,
            socket_port=socket_port,
            origins=tuple(dict.fromkeys(origins)),
            allowed_hosts=_read_allowed_hosts(env),
            transports=_read_transports(env),
            state_dir=Path(state_dir).expanduser() if state_dir else None,
            pipeline_id=check_pipeline_id("RAG_PIPELINE_ID", pipeline_id) if pipeline_id else None,
            backlog_limit_bytes=read_int(env, "STATUS_BACKLOG_BYTES", 1 << 20, low=1 << 16, high=1 << 30),
            event_streams=read_int(env, "STATUS_EVENT_STREAMS", 500, low=0, high=10_000),
            redis_url=read_str(env, "STATUS_REDIS_URL"),
            heartbeat_seconds=read_float(env, "STATUS_HEARTBEAT_SECONDS", 30.0, low=3, high=86_400),
            auth=_read_auth(env),
            search=read_flag(env, "STATUS_SEARCH") if read_str(env, "STATUS_SEARCH") else None,
            control=read_flag(env, "STATUS_CONTROL"),
        )
