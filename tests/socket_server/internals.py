"""Access to the inside of a running service."""

from __future__ import annotations

import gc

from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server.application import Application


def application(server: StatusServer) -> Application:
    """Return the Socket.IO application of the server."""
    hub = server._sockets.hub
    (app,) = [found for found in gc.get_objects() if isinstance(found, Application) and found._hub is hub]
    return app
