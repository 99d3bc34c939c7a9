"""A typical Celery app with the adapter; :mod:`tests.adapters.test_celery` runs its workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from celery import Celery, Task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

from rag_pipeline.adapters import stage
from rag_pipeline.adapters.celery import show

app = Celery("tests", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
show(app)
app.conf.update(
    broker_connection_retry_on_startup=True,
    result_expires=60,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=True,
)

DEADLINE_SECONDS = 60.0


def wait_for(path: str) -> None:
    """Wait until the test makes the file."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.01)


@app.task
def ingest(path: str, gate: Path | str | None = None) -> dict[str, int]:
    if gate is not None:
        wait_for(str(gate))
    return {"chunks": 3}


@app.task
def staged(path: str, gates: list[str]) -> None:
    for number, gate in enumerate(gates):
        stage(f"stage {number}", number / len(gates))
        wait_for(gate)


@app.task
def broken(path: str) -> None:
    stage("extracting")
    raise PermissionError(f"{path} can't be read")


@app.task(bind=True, max_retries=2)
def flaky(self: Task[[str], str], path: str) -> str:
    if self.request.retries < 2:
        try:
            raise ConnectionError("the model is away")
        except ConnectionError as error:
            raise self.retry(exc=error, countdown=0.1) from error
    return "done"


@app.task
def dying(path: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def leaving(path: str) -> None:
    raise SystemExit(3)


@app.task
def endless(path: str) -> None:
    wait_for("/never")


@app.task(soft_time_limit=1)
def patient(path: str) -> None:
    try:
        wait_for("/never")
    except SoftTimeLimitExceeded:
        raise TimeoutError(f"{path} took too long") from None


@app.task
def ignored(path: str) -> None:
    raise Ignore


@app.task
def rejected(path: str) -> None:
    raise Reject("not for me", requeue=False)


@app.task
def count(number: int) -> int:
    return number + 1
