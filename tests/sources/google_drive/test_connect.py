"""A collection's mirror is found again, and rebuilt for another account."""

from __future__ import annotations

import threading
from pathlib import Path

from rag_pipeline.sources.google_drive.auth.credentials import read_credentials
from rag_pipeline.sources.google_drive.auth.token_file import TOKEN_NAME, Grant, save_grant
from rag_pipeline.sources.google_drive.connect import open_source
from rag_pipeline.sources.google_drive.settings import GoogleDriveSettings
from tests.drive import DriveServer
from tests.sources.google_drive.support import write_json


def test_a_source_reuses_its_mirror_until_another_account_signs_in(tmp_path: Path) -> None:
    with DriveServer() as drive:
        folder_id = drive.drive.add_folder("shared")
        drive.drive.add_file("one.txt", "the lighthouse keeper", folder_id)
        env = {
            "GOOGLE_DRIVE_OAUTH_CLIENT": str(write_json(tmp_path / "client.json", drive.client_secrets())),
            "GOOGLE_DRIVE_API_URL": drive.url,
            "STATUS_STATE_DIR": str(tmp_path),
        }
        user = drive.authorized_user()
        save_grant(tmp_path / TOKEN_NAME, Grant(str(user["client_id"]), str(user["refresh_token"])))
        settings = GoogleDriveSettings.from_env(env, folder_id=folder_id)

        def look(scope: str = "one") -> int:
            """Scan, and return the number of listings."""
            before = drive.requests.count("files.list")
            opened = open_source(
                settings,
                read_credentials(env, tmp_path),
                collection=scope,
                state_dir=tmp_path,
                limit_bytes=1 << 20,
                stop=threading.Event(),
            )
            with opened as source:
                assert [file.name for file in source.scan(lambda: None).files.values()] == ["one.txt"]
            return drive.requests.count("files.list") - before

        assert look() > 0
        assert look() == 0
        assert look("another") > 0
        for _ in range(2):
            user = drive.authorized_user()
            save_grant(tmp_path / TOKEN_NAME, Grant(str(user["client_id"]), str(user["refresh_token"])))
            assert look() > 0
            assert look() == 0
