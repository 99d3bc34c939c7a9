"""Checks the ``Host`` header while no token is required: a defence against DNS rebinding.

A web page can let its own name point to this machine. Then it has the same origin as the service, and CORS does not
stop it; only the ``Host`` header shows that name. An IP address and ``localhost`` can't point elsewhere, and public
name servers have no names without a dot.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from rag_pipeline.common.config import Settings, names_this_machine
from rag_pipeline.common.throttled_log import ThrottledLog, quoted

VARIABLE = "STATUS_ALLOWED_HOSTS"

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255})(?::[0-9]{0,5})?")

logger = logging.getLogger("rag_pipeline.hosts")


class HostPolicy:
    """Decides about the ``Host`` of a request; thread-safe.

    ``address`` is the servers' bound address. With ``token_required`` every host is allowed: a page has no token.
    """

    def __init__(self, settings: Settings, address: str, *, token_required: bool) -> None:
        self._checks = not token_required
        self._names = frozenset(_names(settings))
        self._suffixes = tuple(name[1:] for name in settings.allowed_hosts if name.startswith("*."))
        # On loopback no other machine or container uses a name for this one, and in a hostile network even a name
        # without a dot may be the attacker's.
        self._plain_names = not names_this_machine(address)
        self._log = ThrottledLog(logger)

    def refusal(self, host: str | None) -> str | None:
        """Return the error message for a request with this ``Host`` header, None if it is allowed.

        A request without the header is allowed: every browser sends one.
        """
        if not self._checks or host is None or self._allows(host):
            return None
        self._log.warn(lambda: f"host {quoted(host)} is refused; {_ADVICE}")
        return f"the service does not answer under the host {quoted(host)}; {_ADVICE}"

    def _allows(self, host: str) -> bool:
        match = _HOST.fullmatch(host.strip(" \t").lower())
        if match is None:
            return False
        name = match[1].removesuffix(".")
        if _is_address(name) or name == "localhost" or name.endswith(".localhost") or name in self._names:
            return True
        return (self._plain_names and "." not in name) or name.endswith(self._suffixes)


_ADVICE = f"if it is yours, add it to {VARIABLE}, or set STATUS_AUTH_TOKEN to ask for a token"


def _names(settings: Settings) -> Iterable[str]:
    """Yield the configured names and the machine's own."""
    yield settings.host.lower().removesuffix(".")
    yield socket.gethostname().lower()
    yield from settings.allowed_hosts
    for origin in settings.origins:
        yield (urlsplit(origin).hostname or "").lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
