from __future__ import annotations

from pathlib import Path

from rag_pipeline import PipelineStatus, StatusServer
from rag_pipeline.cli.service import start_service
from tests.support.http_get import get_json


def test_the_service_shows_the_pipelines_it_was_started_for(tmp_path: Path) -> None:
    shown, hidden = (
        PipelineStatus("local_files", "cli-service-shown"),
        PipelineStatus("local_files", "cli-service-hidden"),
    )
    for pipeline in (shown, hidden):
        pipeline.update(status="running")
    with start_service([shown], host="127.0.0.1", port=0, socket_port=0, state_dir=tmp_path) as server:
        assert isinstance(server, StatusServer)
        assert get_json(server.http_port, "/status/cli-service-shown").status == 200
        assert get_json(server.http_port, "/status/cli-service-hidden").status == 404
    assert (tmp_path / "journal.sqlite3").exists()
