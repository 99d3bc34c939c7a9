"""Decides which web origins may read the status in a browser (CORS); one policy for both servers.

Development allows frontends on this machine on the usual ports of development servers, and the dashboard's own origins.
Production allows the configured origins only. A page of the same origin needs no permission.
"""

from __future__ import annotations

import logging
import re

from rag_pipeline.common.config import Environment, Settings, read_origin
from rag_pipeline.errors import ConfigurationError

VARIABLE = "SOCKET_IO_CORS_ORIGIN"
REMEMBERED_REFUSALS = 1_000
LOGGED_CHARACTERS = 200

ALLOWED_METHODS = "GET, HEAD, OPTIONS"
CONTROL_METHODS = "POST, OPTIONS"
ALLOWED_HEADERS = "Accept, Authorization, Cache-Control, Content-Type, If-None-Match, Last-Event-ID, X-Requested-With"
PREFLIGHT_MAX_AGE_SECONDS = 600

FRONTEND_PORTS = (3000, 5173)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Hosts that nobody else can let point to this machine, which would make a page of theirs same-origin.
_FIXED_HOST = re.compile(r"https?://(localhost|\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3})(:[0-9]{1,5})?")
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255})(?::([0-9]{1,5}))?")

logger = logging.getLogger("rag_pipeline.origins")


def normalise(origin: str) -> str | None:
    """Return the origin in lower case and without the scheme's default port, as browsers send it; None if invalid."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None or not origin.isascii():
        return None
    scheme, host, port = match.groups()
    if port is None or int(port) == _DEFAULT_PORTS[scheme]:
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def request_scheme(forwarded_proto: str | None) -> str:
    """Return the scheme that the browser used: from a proxy's ``X-Forwarded-Proto``, else ``http``."""
    first = (forwarded_proto or "").split(",")[0].strip().lower()
    return first if first in _DEFAULT_PORTS else "http"


class OriginPolicy:
    """Decides about the ``Origin`` of a request, and makes the CORS headers; thread-safe.

    ``http_port`` is the bound port of the dashboard.
    """

    def __init__(self, settings: Settings, http_port: int) -> None:
        self._production = settings.environment is Environment.PRODUCTION
        self._any = "*" in settings.origins and not self._production
        origins = [origin for origin in settings.origins if origin != "*"]
        if not self._production:
            for scheme in _DEFAULT_PORTS:
                origins += [
                    f"{scheme}://{host}:{port}" for host in ("localhost", "127.0.0.1") for port in FRONTEND_PORTS
                ]
                origins += [f"{scheme}://{host}:{http_port}" for host in ("localhost", "127.0.0.1", "[::1]")]
        self._allowed = frozenset(filter(None, map(normalise, origins)))
        self._refused: dict[str, object] = {}

    def describe(self) -> str | None:
        """Return the line to log at the start, None if there is none."""
        if self._production and not self._allowed:
            return (
                f"no origin is configured: browsers may connect from the same origin only; set {VARIABLE} to allow more"
            )
        return None

    def allows(self, origin: str, *, host: str | None, scheme: str) -> bool:
        """Return whether a page of ``origin`` may read answers; a refusal is logged once per origin.

        ``host`` is the request's ``Host`` header, ``scheme`` comes from :func:`request_scheme`.
        """
        if self._any:
            return True
        normalised = normalise(origin)
        if normalised is not None and (normalised in self._allowed or self._is_same(normalised, host, scheme)):
            return True
        self._log_refusal(origin)
        return False

    def may_act(self, origin: str | None, *, host: str | None, scheme: str, fetch_site: str | None) -> bool:
        """Return whether a request without a token may change something: whether it comes from no foreign page.

        Browsers send ``Origin`` with every request that is not a GET; programs send none. ``*`` allows reading only,
        and the request's own ``Host`` counts only if it is an address or localhost.
        """
        if origin is None:
            return fetch_site in (None, "same-origin", "none")
        normalised = normalise(origin)
        if normalised is not None and normalised in self._allowed:
            return True
        if normalised is not None and _FIXED_HOST.fullmatch(normalised) and self._is_same(normalised, host, scheme):
            return True
        self._log_refusal(origin)
        return False

    def headers(self, origin: str | None, *, host: str | None, scheme: str) -> dict[str, str]:
        """Return the CORS headers of an answer; credentials are never allowed."""
        headers = {"Vary": "Origin"}
        if origin is not None and self.allows(origin, host=host, scheme=scheme):
            headers["Access-Control-Allow-Origin"] = normalise(origin) or "*"
        return headers

    def preflight_headers(
        self, origin: str | None, *, host: str | None, scheme: str, methods: str = ALLOWED_METHODS
    ) -> dict[str, str]:
        """Return the CORS headers of the answer to ``OPTIONS``; ``methods`` are those of the address."""
        headers = self.headers(origin, host=host, scheme=scheme)
        if "Access-Control-Allow-Origin" in headers:
            headers["Access-Control-Allow-Methods"] = methods
            headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE_SECONDS)
        return headers

    def _is_same(self, normalised: str, host: str | None, scheme: str) -> bool:
        return bool(host) and normalised == normalise(f"{scheme}://{host}")

    def _log_refusal(self, origin: str) -> None:
        printable = ascii(origin[:LOGGED_CHARACTERS])
        if len(self._refused) >= REMEMBERED_REFUSALS:
            return
        # setdefault is atomic, so exactly one thread gets its own token back.
        token = object()
        if self._refused.setdefault(printable, token) is token:
            logger.warning("origin %s is refused; %s", printable, _advice(origin))


def _advice(origin: str) -> str:
    """Return what to do about a refused origin; advises the setting only if the setting accepts the origin."""
    normalised = normalise(origin)
    try:
        accepted = normalised is not None and read_origin(normalised, Environment.PRODUCTION) == normalised
    except ConfigurationError:
        accepted = False
    if accepted:
        return f"to allow it, add it to {VARIABLE}"
    return "no setting takes such an origin; serve the page over http or https"
