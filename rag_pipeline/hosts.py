"""Which names the service answers under while it asks for no token: a defence against DNS rebinding.

A web page can have its own name point at this machine, and is of the same origin as the service then: CORS does not
stop it. What gives it away is the ``Host`` that the browser sends. An address is no name that can be pointed anywhere,
and neither is ``localhost``; a name without a dot is none that a public name server gives out.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from rag_pipeline.config import Settings, names_this_machine
from rag_pipeline.throttled_log import ThrottledLog, shown

VARIABLE = "STATUS_ALLOWED_HOSTS"

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255})(?::[0-9]{0,5})?")

logger = logging.getLogger("rag_pipeline.hosts")


class HostPolicy:
    """Decides about the ``Host`` of a request; any thread may ask.

    ``address`` is what the servers are bound to. With ``token_required`` every host is allowed: a page has no token.
    """

    def __init__(self, settings: Settings, address: str, *, token_required: bool) -> None:
        self._checks = not token_required
        self._names = frozenset(_names(settings))
        self._suffixes = tuple(name[1:] for name in settings.allowed_hosts if name.startswith("*."))
        # On loopback no other machine or container has a name for this one; on a stranger's network even a name
        # without a dot may be theirs.
        self._plain_names = not names_this_machine(address)
        self._log = ThrottledLog(logger)

    def refusal(self, host: str | None) -> str | None:
        """Return the one line that refuses a request with this ``Host`` header, None if it is allowed.

        None for the header, which no browser leaves out, is allowed.
        """
        if not self._checks or host is None or self._allows(host):
            return None
        self._log.warn(lambda: f"host {shown(host)} is refused; {_ADVICE}")
        return f"the service does not answer under the host {shown(host)}; {_ADVICE}"

    def _allows(self, host: str) -> bool:
        found = _HOST.fullmatch(host.strip(" \t").lower())
        if found is None:
            return False
        name = found[1].removesuffix(".")
        if _is_address(name) or name == "localhost" or name.endswith(".localhost") or name in self._names:
            return True
        return (self._plain_names and "." not in name) or name.endswith(self._suffixes)


_ADVICE = f"if it is yours, add it to {VARIABLE}, or set STATUS_AUTH_TOKEN to ask for a token"


def _names(settings: Settings) -> Iterable[str]:
    """Yield the names that were configured, and the machine's own."""
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
