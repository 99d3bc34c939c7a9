from __future__ import annotations

from pathlib import Path

import pytest

from tests.drive import DriveServer
from tests.pipelines.endpoint import endpoint
from tests.pipelines.kills import differences, survive
from tests.pipelines.restarts import Command


@pytest.mark.parametrize(("name", "kills"), [("local-files", 6), ("run", 3)])
def test_after_kills_at_any_moment_folder_store_ledger_files_and_totals_agree(
    tmp_path: Path, name: str, kills: int
) -> None:
    with endpoint() as api, DriveServer() as drive:
        command = Command(name, tmp_path, api.env, drive)
        assert differences(command, survive(command, kills, seed=kills)) == []
