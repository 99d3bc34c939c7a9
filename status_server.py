"""The public names of the service, and ``python status_server.py``, which runs it."""

from __future__ import annotations

import sys

from rag_pipeline import PipelineStatus, StatusServer, pipeline_status, start_status_server

__all__ = ["PipelineStatus", "StatusServer", "pipeline_status", "start_status_server"]

if __name__ == "__main__":
    from rag_pipeline.serve import main

    sys.exit(main())
