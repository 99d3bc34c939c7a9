"""The public names of the service, and ``python status_server.py``, which runs it."""

from __future__ import annotations

if __name__ == "__main__":
    import sys

    from rag_pipeline.common.exit import run_command

    def run() -> int:
        """Import and run the service: Ctrl+C is heard while its libraries load, too."""
        from rag_pipeline.cli.status_server import main

        return main()

    sys.exit(run_command("status_server.py", run, last=True))

from rag_pipeline import PipelineStatus, StatusServer, pipeline_status, start_status_server

__all__ = ["PipelineStatus", "StatusServer", "pipeline_status", "start_status_server"]
