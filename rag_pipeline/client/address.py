"""Where a service is: what a user gives, checked, with the Socket.IO server and the namespace found out of it."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from rag_pipeline.client.refusal import refusal_over_http
from rag_pipeline.common.config import reject
from rag_pipeline.contract.events import NAMESPACES, NS_PIPELINE
from rag_pipeline.errors import ConfigurationError, UnreachableError

EXPECTED = "http:// or https://, a host, and a port where it is not the scheme's own, such as http://127.0.0.1:8004"
MAX_HEALTH_BYTES = 1 << 22
_ERRNO = re.compile(r"\[Errno -?\d+\] ([\w ]+)")
_STATUS = re.compile(r"[Ss]tatus code (\d{3})")
_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """An origin, and the path that everything of the service lies under: none, or where a proxy has put it."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    @property
    def loopback(self) -> bool:
        """Whether it is this machine: no proxy that is set for the outside has a part in it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def __str__(self) -> str:
        return self.origin + self.path


class Target(NamedTuple):
    """A Socket.IO server, and the namespace to join there."""

    address: Address
    namespace: str


def parse(url: str) -> Address:
    """Return the address; raises ConfigurationError for what can't be followed."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        reject("url", url, EXPECTED)
    if "@" in parts.netloc:  # not repeated: it may be in a log next
        raise ConfigurationError("the URL has a user name or password in it: give a token instead")
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        reject("url", url, EXPECTED)
    if port == 0:
        reject("url", url, EXPECTED)
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def target_of(
    address: Address,
    namespace: str | None,
    session: requests.Session,
    *,
    token: str | None,
    timeout_seconds: float,
) -> Target:
    """Return where Socket.IO is, and the namespace: the one given, else the one that ends the path, or ``/pipeline``.

    Socket.IO is on the port that ``/health`` names, if the address is that of the HTTP server: the answer says of the
    HTTP server that it has the very port that was asked. Behind a proxy both are on one origin, and a Socket.IO server
    names no ports: then it is the address itself.

    A path that ends with the name of a namespace may be where a proxy has put the service. The ``/health`` that the
    service answers tells which it is; where it answers neither, the path stays as it is.

    Raises UnreachableError when nothing answers there, and AccessDeniedError when it does but hides its ports from
    who has no token, or a wrong one.
    """
    ask = _Asking(session, {} if token is None else {"Authorization": f"Bearer {token}"}, timeout_seconds)
    health = ask.json(f"{address}/health")
    if not _is_health(health) and (shorter := _without_namespace(address)) is not None:
        elsewhere = ask.json(f"{shorter.address}/health")
        if _is_health(elsewhere):
            health, (address, named) = elsewhere, shorter
            namespace = namespace or named
    found = _socket_io_of(ask, address, health, token)
    return Target(found, namespace or NS_PIPELINE)


def _without_namespace(address: Address) -> Target | None:
    """Return the address without the namespace that ends its path; None if none does."""
    path, slash, last = address.path.rpartition("/")
    return Target(address._replace(path=path), slash + last) if slash + last in NAMESPACES else None


def _is_health(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("status"), str)


def _socket_io_of(ask: _Asking, address: Address, health: Any, token: str | None) -> Address:
    http, socket_io = _port_of(health, "http"), _port_of(health, "socket_io")
    if socket_io is not None and http == address.port:
        return address._replace(port=socket_io)
    if isinstance(health, dict) and health.keys() == {"status"}:
        challenge = ask.challenge(f"{address}/status")
        if challenge is not None:
            raise refusal_over_http(token, challenge)
    return address


def reason_of(error: BaseException) -> str:
    """Return why something could not be reached, in the words of the system if they are among its causes."""
    seen: set[int] = set()
    found = str(error) or type(error).__name__
    cause: Any = error
    while isinstance(cause, BaseException) and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, TimeoutError | requests.Timeout):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(status := getattr(cause, "status_code", None), int):
            return f"it answered {status}"
        nested = next((a for a in (getattr(cause, "reason", None), *cause.args) if isinstance(a, BaseException)), None)
        cause = nested or cause.__cause__ or cause.__context__
    return _from_text(found)


def _from_text(text: str) -> str:
    """Return the system's words out of a text that a library made of them."""
    if "timed out" in text:
        return "no answer in time"
    if known := _ERRNO.search(text):
        return known[1].strip()
    if known := _STATUS.search(text):
        return f"it answered {known[1]}"
    return " ".join(text.split())[:200]


class _Asking(NamedTuple):
    """Questions over HTTP, to what may be any server; no token goes on to where it redirects."""

    session: requests.Session
    headers: dict[str, str]
    timeout_seconds: float

    def json(self, url: str) -> Any:
        """Return the JSON of the answer, None for any other; raises UnreachableError when there is no server."""
        body = bytearray()
        try:
            with self._get(url) as answer:
                for piece in answer.iter_content(1 << 16):
                    body += piece
                    if len(body) > MAX_HEALTH_BYTES:
                        return None
        except requests.ConnectionError as error:
            raise UnreachableError(reason_of(error)) from None
        except requests.RequestException:
            return None  # whatever answers here has its say over Socket.IO
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    def challenge(self, url: str) -> str | None:
        """Return the ``WWW-Authenticate`` of a 401, None for any other answer."""
        try:
            with self._get(url) as answer:
                return answer.headers.get("WWW-Authenticate", "") if answer.status_code == 401 else None
        except requests.RequestException:
            return None

    def _get(self, url: str) -> requests.Response:
        return self.session.get(
            url, headers=self.headers, timeout=self.timeout_seconds, allow_redirects=False, stream=True
        )


def _port_of(health: Any, server: str) -> int | None:
    part = health.get(server) if isinstance(health, dict) else None
    port = part.get("port") if isinstance(part, dict) else None
    return port if isinstance(port, int) and 0 < port < 1 << 16 else None
