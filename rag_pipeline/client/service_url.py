"""The URL of a service, parsed and checked."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from rag_pipeline.common.env import reject
from rag_pipeline.errors import ConfigurationError

EXPECTED = (
    "http:// or https://, a host, and a port unless it is the default of the scheme, such as http://127.0.0.1:8004"
)
_PORTS = {"http": 80, "https": 443}


class ServiceUrl(NamedTuple):
    """An origin, and the path below which a proxy serves everything; empty without a proxy."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port in URL form."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine. Proxies from the environment don't apply to it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def __str__(self) -> str:
        return self.origin + self.path


def parse_url(url: str) -> ServiceUrl:
    """Parse a URL that a user gave; raises ConfigurationError if it can't be the URL of a service."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        reject("url", url, EXPECTED)
    if "@" in parts.netloc:  # the message doesn't repeat the URL, because it may end up in a log
        raise ConfigurationError("the URL contains a user name or password: use a token instead")
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment or port == 0:
        reject("url", url, EXPECTED)
    return ServiceUrl(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/"))
