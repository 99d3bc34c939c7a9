"""A command that is killed at random moments over a folder that changes: in the end everything agrees.

``python -m tests.sources.kills 25`` does it 25 times, and says what came of it.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.sources.ledger import Ledger, Outcome
from tests.drive import DriveServer
from tests.sources.endpoint import DIMENSIONS, endpoint
from tests.sources.restarts import TOTALS, Command, Service

MODEL_ID = f"words@{DIMENSIONS}"
FILES = 40
CHANGES_A_SECOND = 60
BAD = b"%PDF-1.7\nthis is no PDF"
PACKED = b"\x1f\x8b\x08" + b"\0" * 64


class Churn:
    """Writes, changes and deletes files of a folder on its own thread."""

    def __init__(self, place: Any, chance: random.Random) -> None:
        self._place = place
        self._chance = chance
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(1 / CHANGES_A_SECOND):
            number = self._chance.randrange(FILES)
            name = f"{number}.{('txt', 'txt', 'txt', 'pdf', 'gz')[number % 5]}"
            if name in self._place.names() and self._chance.random() < 0.5:
                self._place.remove(name)
            else:
                texts = {"pdf": BAD, "gz": PACKED}
                text = f"the lighthouse keeper {number} {self._chance.randrange(4)}".encode()
                self._place.write(name, texts.get(name.rpartition(".")[2], text))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def survive(command: Command, kills: int, seed: int) -> dict[str, Any]:
    """Kill the command ``kills`` times; then let it finish, and return its last status."""
    chance = random.Random(seed)
    churns = [Churn(place, chance) for place in command.places]
    for _ in range(kills):
        with command.program() as program:
            service = Service(program)
            service.wait(lambda s: s["status"] in ("idle", "processing"), command.ids, "the work")
            threading.Event().wait(chance.uniform(0.0, 3.0))  # at any moment
            service.kill()
    for churn in churns:
        churn.stop()
    with command.program() as program:
        service = Service(program)

        def is_done(state: dict[str, Any]) -> bool:
            return bool(state["status"] == "idle" and state["files_in_flight"] == state["files_queued"] == 0)

        before = {one: state["last_check_time"] for one, state in service.wait(is_done, command.ids, "idle").items()}
        service.wait(
            lambda s: is_done(s) and s["last_check_time"] != before[s["pipeline_id"]], command.ids, "another scan"
        )
        states = service.wait(is_done, command.ids, "the end")
        files = {
            one: {status: {file["name"] for file in service.files(one, status)} for status in (*TOTALS, "processing")}
            for one in command.ids
        }
        deleted = {one: len(service.files(one, "deleted")) for one in command.ids}
        service.end()
    return {"states": states, "files": files, "deleted": deleted}


def differences(command: Command, result: dict[str, Any]) -> list[str]:
    """Return the differences between folder, store, ledger, ``/files`` and totals."""
    differing = []

    def compare(what: str, one: object, other: object) -> None:
        if one != other:
            differing.append(f"{what}: {one} and {other}")

    for place in command.places:
        pipeline_id = place.pipeline_id
        files, state = result["files"][pipeline_id], result["states"][pipeline_id]
        names = place.names()
        kinds = {"completed": "txt", "failed": "pdf", "skipped": "gz"}
        for status, kind in kinds.items():
            wanted = {name for name in names if name.endswith(kind)}
            compare(f"{pipeline_id}: {status} in /files and in the folder", files[status], wanted)
            compare(f"{pipeline_id}: {TOTALS[status]} and /files", state[TOTALS[status]], len(files[status]))
        compare(f"{pipeline_id}: in flight", files["processing"], set())
        compare(f"{pipeline_id}: total_deleted and /files", state["total_deleted"], result["deleted"][pipeline_id])
        with Ledger(command.state_dir, pipeline_id) as ledger:
            rows = ledger.rows()
        outcomes = {"completed": Outcome.STORED, "failed": Outcome.FAILED, "skipped": Outcome.SKIPPED}
        for status, outcome in outcomes.items():
            listed = {row.name for row in rows.values() if row.outcome is outcome}
            compare(f"{pipeline_id}: {status} in /files and in the ledger", files[status], listed)
        stored = {file.name for file in _stored(command, pipeline_id)}
        compare(f"{pipeline_id}: completed and the store", files["completed"], stored)
    return differing


def _stored(command: Command, scope: str) -> list[Any]:
    with closing(LanceVectorStore(command.state_dir / "store", MODEL_ID, DIMENSIONS)) as store:
        return list(store.files(scope).values())


def main() -> None:
    """Run the kills that the command line asks for."""
    kills = int(sys.argv[1])
    name = sys.argv[2] if len(sys.argv) > 2 else "local-files"
    with tempfile.TemporaryDirectory() as folder, endpoint() as api, DriveServer() as drive:
        command = Command(name, Path(folder), api.env, drive)
        result = survive(command, kills, seed=random.randrange(1 << 30))
        differing = differences(command, result)
    for state in result["states"].values():
        print({total: state[total] for total in (*TOTALS.values(), "total_deleted")})
    print("\n".join(differing) or f"{kills} kills: everything agrees")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
