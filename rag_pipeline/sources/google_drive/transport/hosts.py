"""Decides which hosts may receive the access token or a secret, and where a redirect may lead."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from rag_pipeline.common.config import names_this_machine

API_URL = "https://www.googleapis.com"
_TOKEN_HOSTS = frozenset({"www.googleapis.com", "docs.google.com", "drive.google.com"})
_SECRET_HOSTS = frozenset({"accounts.google.com", "oauth2.googleapis.com", "www.googleapis.com"})
# Google's content servers: their URLs work for a while without a token.
_CONTENT_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(googleusercontent\.com|usercontent\.google\.com)")


def may_receive_token(url: str, base_url: str) -> bool:
    """Return whether a request to the URL may carry the access token: Drive, its exports, and the configured API."""
    origin = parse_origin(url)
    return origin is not None and (origin == parse_origin(base_url) or _is_https(url, _TOKEN_HOSTS))


def may_redirect_to(url: str, base_url: str) -> bool:
    """Return whether a redirect from Drive may lead to the URL.

    Login pages are not allowed: they would be taken for the file. A test server on loopback may redirect on loopback.
    """
    host = _host(url)
    if may_receive_token(url, base_url) or (_scheme(url) == "https" and _CONTENT_HOST.fullmatch(host)):
        return True
    return names_this_machine(host) and names_this_machine(_host(base_url))


def may_receive_secret(url: str) -> bool:
    """Return whether a sign-in may send its secrets to the URL: Google over TLS, or this machine."""
    return _is_https(url, _SECRET_HOSTS) or names_this_machine(_host(url))


def parse_origin(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port; None for an invalid URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    # The host stands after an @; the text before it only looks like a host.
    if "@" in parts.netloc or "\\" in url or not parts.hostname or parts.scheme not in ("http", "https"):
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def _is_https(url: str, hosts: frozenset[str]) -> bool:
    origin = parse_origin(url)
    return origin is not None and origin[0] == "https" and origin[1] in hosts and origin[2] == 443


def _scheme(url: str) -> str:
    return (parse_origin(url) or ("", "", 0))[0]


def _host(url: str) -> str:
    return (parse_origin(url) or ("", "", 0))[1]
