from __future__ import annotations

from pathlib import Path

from rag_pipeline.sources.google_drive.state_paths import downloads_path, mirror_path


def test_each_collection_has_its_own_constant_paths(tmp_path: Path) -> None:
    # The names of older versions.
    assert mirror_path(tmp_path, "papers") == tmp_path / "drive-6f9528f30ad3d868.sqlite3"
    assert downloads_path(tmp_path, "papers") == tmp_path / "downloads-6f9528f30ad3d868"
    assert mirror_path(tmp_path, "caf\udce9") != mirror_path(tmp_path, "cafe")
