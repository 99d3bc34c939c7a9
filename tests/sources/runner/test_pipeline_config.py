from __future__ import annotations

from rag_pipeline.sources.following.deletion_brake import BrakeSettings
from rag_pipeline.sources.runner.pipeline_config import PipelineConfig, brake
from rag_pipeline.sources.runner.toml_table import TomlTable
from tests.sources.runner.scripted import done_at_once, scripted_spec


def test_the_kind_is_that_of_the_spec() -> None:
    config = PipelineConfig("papers", "/docs", "folder", scripted_spec("papers", done_at_once), lambda: None)
    assert config.kind == "local_files"


def test_a_table_can_set_its_own_limits_for_deletions() -> None:
    default = BrakeSettings(7, 30.0, confirm_first=True)
    assert brake(TomlTable("f", "t", {}), default) == default
    values = {"delete_max_files": 3, "delete_max_percent": 12.5}
    assert brake(TomlTable("f", "t", values), default) == BrakeSettings(3, 12.5, confirm_first=True)
