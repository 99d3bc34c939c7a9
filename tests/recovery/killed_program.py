"""A pipeline with its service, which tests kill: it works through files until all are stored.

Arguments: state folder, number of files, number of workers. To store a file is to create it in the folder ``stored``,
which fails if it exists; then it is reported as completed, then noted as done. A restart continues with the files that
are not done or that clients know as interrupted: a kill can come before an event is in the journal. Prints the ports.
Creates the file ``finished`` after the last report.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from rag_pipeline import PipelineStatus, start_status_server

STATE, COUNT, WORKERS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
WORK_SECONDS = 0.003
STORED, DONE, FINISHED = STATE / "stored", STATE / "done", STATE / "finished"

_pause = threading.Event()


def work(status: PipelineStatus, names: list[str]) -> None:
    """Store each file once, and report its stages."""
    for name in names:
        with status.processing(name, name) as file:
            for stage in ("extracting", "chunking", "embedding"):
                file.stage(stage, 0.5)
                _pause.wait(WORK_SECONDS / 3)
            if not (STORED / name).exists():
                (STORED / name).touch(exist_ok=False)
        (DONE / name).touch()


def main() -> None:
    """Work, and serve until the end of input."""
    for folder in (STORED, DONE):
        folder.mkdir(parents=True, exist_ok=True)
    FINISHED.unlink(missing_ok=True)
    status = PipelineStatus("local_files", "killed")
    with start_status_server(0, host="127.0.0.1", pipelines=[status], state_dir=STATE) as server:
        print(server.socket_port, server.http_port, flush=True)
        status.update(status="processing")
        again = {file.name for file in status.interrupted}
        names = [f"file-{number}" for number in range(COUNT)]
        left = [name for name in names if name in again or not (DONE / name).exists()]
        threads = [threading.Thread(target=work, args=(status, left[n::WORKERS])) for n in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        status.update(status="idle")
        FINISHED.touch()
        sys.stdin.read()


if __name__ == "__main__":
    main()
