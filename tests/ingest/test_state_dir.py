from __future__ import annotations

from pathlib import Path

from rag_pipeline.ingest.state_dir import read_state_dir


def test_the_state_folder_is_the_variables_or_the_one_where_the_command_runs() -> None:
    assert read_state_dir({}) == read_state_dir({"STATUS_STATE_DIR": " "}) == Path(".rag_pipeline")
    assert read_state_dir({"STATUS_STATE_DIR": "/data/state"}) == Path("/data/state")
    assert read_state_dir({"STATUS_STATE_DIR": "~/state"}) == Path.home() / "state"
