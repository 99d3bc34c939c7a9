"""What belongs to a scope is found again, and forgotten when somebody else has signed in."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from rag_pipeline.pipelines.google_drive.auth import read_access
from rag_pipeline.pipelines.google_drive.connect import forget_mirrors, open_source
from rag_pipeline.pipelines.google_drive.settings import GoogleDriveSettings
from tests.drive import DriveServer


def test_a_source_finds_its_own_mirror_again_until_it_is_forgotten(tmp_path: Path) -> None:
    with DriveServer() as drive:
        folder_id = drive.drive.add_folder("shared")
        drive.drive.add_file("one.txt", "the lighthouse keeper", folder_id)
        env = {
            "GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(drive.service_account()),
            "GOOGLE_DRIVE_API_URL": drive.url,
            "STATUS_STATE_DIR": str(tmp_path),
        }
        settings = GoogleDriveSettings.from_env(env, folder_id=folder_id)

        def look(scope: str = "one") -> int:
            """Return how many listings it took."""
            before = drive.requests.count("files.list")
            opened = open_source(
                settings,
                read_access(env, tmp_path),
                scope=scope,
                state_dir=tmp_path,
                limit_bytes=1 << 20,
                stop=threading.Event(),
            )
            with opened as source:
                assert [file.name for file in source.look(lambda: None).files.values()] == ["one.txt"]
            return drive.requests.count("files.list") - before

        assert look() > 0
        assert look() == 0
        assert look("another") > 0
        forget_mirrors(tmp_path)
        assert look() > 0
