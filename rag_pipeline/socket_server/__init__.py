"""Socket.IO on port 8004."""

from rag_pipeline.socket_server.server import SocketServer

__all__ = ["SocketServer"]
