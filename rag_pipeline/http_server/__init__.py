"""The HTTP server on port 8003."""

from rag_pipeline.http_server.server import HttpServer

__all__ = ["HttpServer"]
