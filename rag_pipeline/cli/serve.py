"""``rag-pipeline serve``: runs the service for the pipelines of other processes, which Redis connects."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rag_pipeline.cli.arguments import add_ports
from rag_pipeline.common.config import Settings
from rag_pipeline.common.printing import say_lines
from rag_pipeline.common.probe import reachable
from rag_pipeline.common.stop_signals import StopSignals
from rag_pipeline.contract.events import NAMESPACES
from rag_pipeline.errors import ConfigurationError, ExitCode
from rag_pipeline.ingest.state_dir import read_state_dir

if TYPE_CHECKING:
    from rag_pipeline.ingest.document_search import StoredDocuments
    from rag_pipeline.service import StatusServer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_ports(parser)


def run(args: argparse.Namespace) -> int:
    """Run the service with no pipeline of its own until a signal; return 0.

    Raises ConfigurationError without ``STATUS_REDIS_URL``, and what :func:`start_status_server` raises.
    """
    # Imported here because it loads eventlet, which the other commands don't need.
    from rag_pipeline.service import start_status_server

    settings = Settings.from_env(http_port=args.port, socket_port=args.socket_port, host=args.host)
    if settings.redis_url is None:
        raise ConfigurationError(
            "STATUS_REDIS_URL is not set: serve shows what other processes publish through the Redis it names"
        )
    with StopSignals() as signals, ExitStack() as stack:
        documents = stored_documents(settings)
        if documents is not None:
            stack.enter_context(documents)
        server = stack.enter_context(
            start_status_server(
                args.port, host=args.host, socket_port=args.socket_port, pipelines=[], documents=documents
            )
        )
        announce(server)
        signals.wait()
    return ExitCode.OK


def stored_documents(settings: Settings) -> StoredDocuments | None:
    """Return the documents to search over HTTP, if STATUS_SEARCH is 1; they are opened by the first search.

    Raises ConfigurationError if no setting names the store.
    """
    if not settings.search:
        return None
    # Imported here because the service alone needs no library of ingestion.
    from rag_pipeline.ingest.document_search import StoredDocuments
    from rag_pipeline.ingest.installed import check_installed
    from rag_pipeline.ingest.settings import IngestSettings

    ingest = IngestSettings.from_env()
    if settings.state_dir is None and ingest.store_address is None:
        raise ConfigurationError("STATUS_SEARCH=1: set RAG_STORE_URL or STATUS_STATE_DIR too, to name the store")
    check_installed(ingest)
    return StoredDocuments(ingest, settings.state_dir or read_state_dir())


def announce(server: StatusServer) -> None:
    """Print where to connect, and how to stop."""
    say_lines(f"{addresses(server)}\nPress Ctrl+C to stop.")


def addresses(server: StatusServer) -> str:
    """Return the URLs of the service, one a line."""
    host = reachable(server.host)
    name = f"[{host}]" if ":" in host else host
    http, socket_io = f"http://{name}:{server.http_port}", f"http://{name}:{server.socket_port}"
    lines = [f"Dashboard  {http}/", f"Status     {http}/status", f"Health     {http}/health"]
    return "\n".join(lines + [f"Socket.IO  {socket_io}{namespace}" for namespace in NAMESPACES])
