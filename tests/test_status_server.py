"""The top-level module: its public names, and the lines that users paste."""

from __future__ import annotations

import pytest

import rag_pipeline
import status_server
from tests.support.programs import run


def test_the_names_are_those_of_the_package() -> None:
    assert status_server.__all__ == ["PipelineStatus", "StatusServer", "pipeline_status", "start_status_server"]
    for name in status_server.__all__:
        assert getattr(status_server, name) is getattr(rag_pipeline, name)


@pytest.mark.slow
def test_the_lines_of_the_manual_work() -> None:
    program = """
from status_server import PipelineStatus, pipeline_status, start_status_server
server = start_status_server(0)
pipeline_status.update(status="running", pipeline_type="google_drive")
pipeline_status.add_processing_file("document.pdf", "12345")
pipeline_status.complete_file("document.pdf", success=True)
state = server.status()
assert (state["status"], state["pipeline_type"], state["total_processed"]) == ("running", "google_drive", 1), state
"""
    done = run("-W", "error", "-c", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_names_every_option() -> None:
    done = run("status_server.py", "--help")
    assert done.returncode == 0
    for option in ("--host", "--port", "--socket-port", "--demo", "--speed", "--loop", "--once"):
        assert option in done.stdout
