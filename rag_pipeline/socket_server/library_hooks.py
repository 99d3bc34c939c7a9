"""The private parts of python-engineio, python-socketio and eventlet that this package depends on.

The direct path writes to an upgraded WebSocket without a queue, and needs no greenlet for a client. With a version of
python-engineio or python-socketio that the hooks were not checked with, the service takes the library path, which uses
public parts only. There is no second path around eventlet; ``pyproject.toml`` pins its minor version.

Overridden (the tests compare this list with the code and with the installed versions):

``engineio.Server._handle_connect``
    Creates our sessions, and keeps only a few values of the request's environ. The library keeps all of it as long as
    the client: 20 KB with its buffers.
``engineio.Server.handle_request``
    Opens and closes a second WebSocket of a session, as Socket.IO's own server does.
``engineio.Server._ok``, ``engineio.Server._bad_request``
    Answer in the words of Socket.IO's own server.
``engineio.Server._log_error_once``
    Logs a client's mistake at INFO; it is no error of the server.
``engineio.socket.Socket.send``
    Writes to an upgraded WebSocket at once, in the order of events, instead of queueing for a writer greenlet. Bounds
    the queue of a polling client.
``engineio.socket.Socket.poll``
    Answers with at most 16 packets, because Python's client refuses more, or with CLOSE alone. Counts queued bytes.
``engineio.socket.Socket.schedule_ping``
    One timer for all clients instead of a greenlet each.
``engineio.socket.Socket._upgrade_websocket``
    A connection with callbacks, detached from the HTTP server, instead of two greenlets.
``engineio.socket.Socket.handle_post_request``
    Ends the session on an invalid packet or too many, without a traceback in the log.
``engineio.socket.Socket.receive``
    Ends the session on an UPGRADE that upgrades nothing.
``engineio.socket.Socket.close``
    Closes our connection, and forgets the session at once: there is no service task.
``socketio.Manager.pre_connect``
    No room for each single client: nothing is sent to one, and at each disconnect the library searches all rooms. When
    10,000 clients leave together (a proxy restarts), nobody is served for 7 s.
``socketio.Server._engineio_server_class``
    Builds our Engine.IO server.
``socketio.Server._send_packet``
    Adds the ``pid`` of Socket.IO's connection state recovery to CONNECT, and counts refused CONNECTs.
``socketio.Server._handle_connect``
    Waits until the client's token can be checked.
``socketio.Server._handle_eio_message``
    Accepts CONNECT and DISCONNECT only, and ends the session on an invalid packet. The library would collect
    attachments without bound, let a client emit an event named ``connect``, and log a traceback for a packet that is
    not JSON.
``eventlet.wsgi.HttpProtocol.handle_one_request``
    Reads the request with one deadline, strictly; detaches WebSockets.
``eventlet.wsgi.HttpProtocol.get_environ``
    Adds the request's connection to the environ.
``eventlet.wsgi.HttpProtocol.finish``
    Leaves a detached descriptor open, and notes whether the peer has received everything.
``eventlet.wsgi.HttpProtocol.log_message``, ``eventlet.wsgi.HttpProtocol.address_string``
    Log to this package's logger, at DEBUG; no name is looked up.

Called or read, not overridden:

``engineio.Server._trigger_event``, ``engineio.Server._upgrades``, ``engineio.Server._cors_allowed_origins``
    The parts of ``engineio.Server._handle_connect`` and ``engineio.Server.handle_request`` that stay the library's.
``socketio.Manager.basic_enter_room``
    The part of ``socketio.Manager.pre_connect`` that stays the library's.
``eventlet.wsgi.Server``, ``eventlet.wsgi.HttpProtocol.handle_one_response``
    Run the WSGI application for one request.
``eventlet.wsgi.WSGI_LOCAL``, ``eventlet.wsgi.STATE_IDLE``, ``eventlet.wsgi.STATE_REQUEST``
    Tell eventlet that a WebSocket has taken the connection over, and what the connection does.
``eventlet.wsgi.Input.send_hundred_continue_response``
    Asks for a chunked body, which is then read by :mod:`rag_pipeline.socket_server.request_body`.
``eventlet.hubs.hub.BaseHub.add``, ``eventlet.hubs.hub.BaseHub.remove``
    Watch a descriptor by a callback. A greenlet that waits registers and unregisters it each time: two system calls
    that release the GIL.
"""

from __future__ import annotations

import re
from importlib.metadata import version

CHECKED = {"python-engineio": ((4, 12), (4, 16)), "python-socketio": ((5, 13), (5, 19))}
"""For each library the first version that the hooks were checked with, and the first one that they were not."""

_DIGITS = re.compile(r"\d+")


def unsupported_version() -> str | None:
    """Return why the hooks can't be used with the installed libraries, None if they can."""
    for name, (low, high) in CHECKED.items():
        found = version(name)
        parts = tuple(int(part) for part in _DIGITS.findall(found)[:2])
        if not low <= parts < high:
            checked = f"{low[0]}.{low[1]} to {high[0]}.{high[1] - 1}"
            return f"{name} {found} is outside the range the direct path was checked with ({checked})"
    return None
