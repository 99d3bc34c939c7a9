from __future__ import annotations

from pathlib import Path

from tests.pipelines.run.scripted import done_at_once, entry


def test_an_entry_is_of_the_kind_of_its_task(tmp_path: Path) -> None:
    assert entry("papers", done_at_once, tmp_path).kind == "local_files"
