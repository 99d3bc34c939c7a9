"""The dashboard page at ``/``, with the servers' ports filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from rag_pipeline.contract.events import NAMESPACES

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
)

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports as bound, and the namespaces a Socket.IO client can connect to."""

    http_port: int
    socket_port: int
    namespaces: tuple[str, ...] = NAMESPACES


def content_security_policy(addresses: Addresses, host: str | None) -> str:
    """Return the page's policy: it may connect to both servers on the host of the ``Host`` header."""
    return "; ".join([*_POLICY, " ".join(["connect-src", *connect_sources(addresses, host)])])


def render(addresses: Addresses, *, control: bool = False) -> str:
    """Return the page; ``control`` adds the buttons that control pipelines."""
    return _template().substitute(
        http_port=addresses.http_port,
        socket_port=addresses.socket_port,
        control="on" if control else "off",
        namespaces="".join(_option(one) for one in sorted(addresses.namespaces, key="/pipeline".__ne__)),
    )


def connect_sources(addresses: Addresses, host: str | None) -> list[str]:
    """Return where the page may connect to: its own origin, and the Socket.IO port of the same machine.

    Its own origin is named for WebSockets too: not every browser counts them as ``'self'``.
    """
    match = _HOST.fullmatch(host or "")
    authority, machine = (match[0], match[1]) if match else ("localhost", "localhost")
    if machine.startswith("["):  # the policy knows no IPv6 addresses: any machine on this port, then
        return ["'self'", f"http://*:{addresses.socket_port}", f"ws://*:{addresses.socket_port}"]
    own = [f"ws://{authority}", f"wss://{authority}"]
    return ["'self'", *own, *(f"{scheme}://{machine}:{addresses.socket_port}" for scheme in ("http", "ws"))]


def _option(namespace: str) -> str:
    name = "All of them" if namespace == "/pipeline" else f"Only {namespace[1:]}"
    return f'<option value="{escape(namespace)}">{escape(name)}</option>'


@cache
def _template() -> Template:
    page = files("rag_pipeline.http_server").joinpath("dashboard", "index.html")
    return Template(page.read_text(encoding="utf-8"))
