from __future__ import annotations

import random
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.ingest.store.lance import LanceVectorStore
from rag_pipeline.pipelines.ledger import Ledger
from tests.drive import DriveServer
from tests.pipelines.endpoint import DIMENSIONS, endpoint
from tests.pipelines.kills import MODEL_ID, differences, survive
from tests.pipelines.restarts import Command, Service
from tests.watching import wait_until


@pytest.mark.parametrize(("name", "kills"), [("local-files", 6), ("run", 3)])
def test_after_kills_at_any_moment_folder_store_ledger_files_and_totals_agree(
    tmp_path: Path, name: str, kills: int
) -> None:
    with endpoint() as api, DriveServer() as drive:
        command = Command(name, tmp_path, api.env, drive)
        assert differences(command, survive(command, kills, seed=kills)) == []


def test_a_folder_that_is_renamed_again_and_again_under_kills_is_stored_and_told_once(tmp_path: Path) -> None:
    chance = random.Random(7)
    docs, count = tmp_path / "docs", 300
    (docs / "0").mkdir(parents=True)
    for number in range(count):
        (docs / "0" / f"{number}.txt").write_text(f"the lighthouse keeper {number}")
    with endpoint() as api:
        command = Command("local-files", tmp_path, api.env, None)
        (one,) = command.ids

        def is_done(state: dict[str, Any]) -> bool:
            return bool(state["status"] == "idle" and state["files_in_flight"] == state["files_queued"] == 0)

        name = 0
        for turn in range(6):
            with command.program() as program:
                service = Service(program)
                service.wait(lambda s: s["status"] in ("idle", "processing"), [one], "the work")
                if turn == 0:
                    service.wait(lambda s: is_done(s) and s["total_processed"] == count, [one], "all files")
                for _ in range(chance.randint(1, 3)):  # also while the files are still being taken over
                    (docs / str(name)).rename(docs / str(name := name + 1))
                    threading.Event().wait(chance.uniform(0.1, 1.2))  # at any moment
                service.kill()
        with command.program() as program:
            service = Service(program)
            there = {f"{name}/{number}.txt" for number in range(count)}
            # The state of the last process may be done as well: its last look was before the last name.
            wait_until(lambda: {file["id"] for file in service.files(one, "completed")} == there)
            # Names that no look has seen are told of nowhere.
            service.wait(lambda s: is_done(s) and s["total_processed"] == count, [one], "the end")
            listed = {file["id"] for file in service.files(one, "completed")}
            gone = {file["id"] for file in service.files(one, "deleted")}
            service.end()
        assert sum("lighthouse" in text for text in api.texts) == count
    with closing(LanceVectorStore(command.state_dir / "store", MODEL_ID, DIMENSIONS)) as store:
        stored = set(store.files(one))
    with Ledger(command.state_dir, one) as ledger:
        rows = set(ledger.rows())
    assert (listed, stored, rows) == (there, there, there)
    assert {f"0/{number}.txt" for number in range(count)} <= gone
    assert not gone & there
