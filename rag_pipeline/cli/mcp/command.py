"""``rag-pipeline mcp``: lets a language model search the documents and ask for the state of the pipelines."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from rag_pipeline.cli.arguments import add_state_dir
from rag_pipeline.cli.mcp.service_client import ServiceClient
from rag_pipeline.cli.mcp.tools import Tools
from rag_pipeline.cli.remote_service import add_token_file, default_url, read_token
from rag_pipeline.errors import ConfigurationError, ExitCode
from rag_pipeline.ingest.document_search import StoredDocuments
from rag_pipeline.ingest.installed import check_installed
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import read_state_dir

DESCRIPTION = (
    "Run an MCP server on standard input and output, with the tools search, status and failed_files. With --url all of "
    "them ask that service. Without it, search reads the store, and the others ask the service of this machine."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = DESCRIPTION
    parser.add_argument("--url", help="the service to ask, such as http://127.0.0.1:8003")
    add_token_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Serve one client until it closes standard input; return 0. Raises ConfigurationError."""
    if find_spec("mcp") is None:
        raise ConfigurationError('mcp is not installed; run: pip install "rag-pipeline-status[mcp]"')
    if args.url is not None and args.state_dir is not None:
        raise ConfigurationError("--url and --state-dir exclude each other: the service has its own store")
    service = ServiceClient(args.url or default_url(), read_token(args.token_file))
    if args.url is not None:
        return _serve(Tools(service, None))
    settings = IngestSettings.from_env()
    check_installed(settings)
    state_dir: Path = args.state_dir or read_state_dir()
    with StoredDocuments(settings, state_dir) as documents:
        return _serve(Tools(service, documents))


def _serve(tools: Tools) -> int:
    # Imported here because it takes a second, which no other command needs.
    from rag_pipeline.cli.mcp.server import build_server

    build_server(tools).run("stdio")
    return ExitCode.OK
