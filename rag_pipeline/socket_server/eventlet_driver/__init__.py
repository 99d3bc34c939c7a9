"""The eventlet driver; no other package imports eventlet.

Nothing is monkey-patched. The loop runs on the thread that calls :meth:`EventletLoop.serve`. eventlet keeps one hub for
each thread, so a host program's own use of eventlet on other threads is not affected.
"""

from rag_pipeline.socket_server.eventlet_driver.loop import EventletLoop

__all__ = ["EventletLoop"]
