"""The page at ``/``: where to connect and what to do next, until there is more to see."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from html import escape

from rag_pipeline.events import NAMESPACES

_HOST_NAME = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(:[0-9]{1,5})?")

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
body { max-width: 44rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1rem; margin: 2rem 0 .25rem; }
code, pre { font: .875rem/1.6 ui-monospace, monospace; }
pre { margin: .25rem 0; padding: .75rem 1rem; overflow-x: auto; border-radius: .5rem; background: #8882; }
ul { margin: 0; padding-left: 1.25rem; }
p { margin: .25rem 0; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RAG pipeline status</title>
<style>{style}</style>
</head>
<body>
<h1>RAG pipeline status</h1>
<p>The service is running. This is where to read it.</p>
<h2>HTTP, port {http_port}</h2>
<ul>
<li><a href="status">/status</a>: what the pipeline is doing right now</li>
<li><code>/status/&lt;pipeline_id&gt;</code>: one pipeline of several</li>
<li><a href="events">/events</a>: what happened, in order, and live as an event stream</li>
<li><a href="files">/files</a>: every file, the newest change first; <a href="files?status=failed">what failed</a></li>
<li><a href="health">/health</a>: whether every part works</li>
</ul>
<h2>Socket.IO, port {socket_port}</h2>
<ul>
{namespaces}
</ul>
<h2>Next</h2>
<p>Ask from a terminal:</p>
<pre>curl http://{http_address}/status</pre>
<p>Follow it live there:</p>
<pre>curl -N -H 'Accept: text/event-stream' http://{http_address}/events</pre>
<p>Or in JavaScript with <code>socket.io-client</code> 4:</p>
<pre>import {{ io }} from "socket.io-client";
io("http://{socket_address}/pipeline").on("pipeline:status", console.log);</pre>
<p>Feed it, in Python in the process of the service:</p>
<pre>from rag_pipeline import pipeline_status
pipeline_status.update(status="running")</pre>
</body>
</html>
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports as bound, and the namespaces a Socket.IO client can connect to."""

    http_port: int
    socket_port: int
    namespaces: tuple[str, ...] = NAMESPACES


def render(addresses: Addresses, host: str | None) -> str:
    """Return the page; it names the machine as the request's ``Host`` header did."""
    name = _machine(host)
    socket_address = f"{name}:{addresses.socket_port}"
    items = (f"<li><code>http://{escape(socket_address + namespace)}</code></li>" for namespace in addresses.namespaces)
    return _PAGE.format(
        style=_STYLE,
        http_port=addresses.http_port,
        socket_port=addresses.socket_port,
        namespaces="\n".join(items),
        http_address=escape(f"{name}:{addresses.http_port}"),
        socket_address=escape(socket_address),
    )


def _machine(host: str | None) -> str:
    match = _HOST_NAME.fullmatch(host or "")
    return match[1] if match else "localhost"
