from __future__ import annotations

from pathlib import Path

from rag_pipeline.sources.following.deletion_brake import BrakeSettings
from rag_pipeline.sources.runner.pipeline_config import brake
from rag_pipeline.sources.runner.table import Table
from tests.sources.run.scripted import done_at_once, entry


def test_an_entry_is_of_the_kind_of_its_task(tmp_path: Path) -> None:
    assert entry("papers", done_at_once, tmp_path).kind == "local_files"


def test_a_table_has_limits_of_its_own_for_deletions_and_the_usual_ones_else() -> None:
    usual = BrakeSettings(7, 30.0, confirm_first=True)
    assert brake(Table("f", "t", {}), usual) == usual
    given = {"delete_max_files": 3, "delete_max_percent": 12.5}
    assert brake(Table("f", "t", given), usual) == BrakeSettings(3, 12.5, confirm_first=True)
