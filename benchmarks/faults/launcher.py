"""``rag-pipeline`` with faults of its own process: ``python -m benchmarks.faults.launcher local-files …``.

What fails, and how often, is in the file that FAULTS_FILE names; the benchmark writes it. The process may not read
every file as root may, and ends with the benchmark.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

POISON = "poison for the process"
"""A file whose text begins with it kills the process that reads it."""
EXTRACTION_SECONDS = 4.0
STORE, AFTER_STORE, LEDGER, MEMORY, THREADS = "store", "after store", "ledger", "memory", "threads"

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP = 1, 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_WRITES = ("replace", "rename", "move", "move_many", "copy", "copy_many", "delete", "delete_many")
_OF_LEDGER = (
    "put", "remove", "mark_started", "mark_ended", "mark_reported", "mark_deletion_reported", "clear_crashes"
)  # fmt: skip
_CONFINED = "FAULTS_CONFINED"


class Switches:
    """What is to fail now, as the benchmark's file says."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._chance = random.Random()

    def meets(self, kind: str) -> bool:
        """Return whether this call is to fail."""
        try:
            share: float = json.loads(self._path.read_text()).get(kind, 0.0)
        except OSError:
            return False
        return share > 0 and self._chance.random() < share


def main() -> int:
    """Run the command with the faults built in."""
    _confine()
    from rag_pipeline.cli.main import main as run

    _install(Switches(os.environ["FAULTS_FILE"]))
    return run()


def _confine() -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.geteuid() == 0 and _CONFINED not in os.environ:
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            libc.prctl(_PR_CAPBSET_DROP, capability)
        os.environ[_CONFINED] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.faults.launcher", *sys.argv[1:]])


def _install(switches: Switches) -> None:
    from rag_pipeline.errors import StateError, StoreError
    from rag_pipeline.ingest.embed.openai import OpenAIEmbedder
    from rag_pipeline.ingest.extract import ProcessExtractor
    from rag_pipeline.ingest.store.lance.store import LanceVectorStore
    from rag_pipeline.sources.ledger import Ledger

    def state_error() -> Exception:
        error = StateError("the ledger can't be used: disk I/O error")
        error.retryable = True
        return error

    def store_error() -> Exception:
        return StoreError("the store can't be written: Input/output error")

    for name in _WRITES:
        _fail(LanceVectorStore, name, switches, STORE, store_error)
        _fail(LanceVectorStore, name, switches, AFTER_STORE, store_error, after=True)
    for name in _OF_LEDGER:
        _fail(Ledger, name, switches, LEDGER, state_error)
    _fail(OpenAIEmbedder, "_post", switches, MEMORY, MemoryError)
    _fail(ProcessExtractor, "extract", switches, MEMORY, MemoryError)
    _fail_threads(switches)
    _limit_and_poison(ProcessExtractor)


def _fail(
    owner: Any, name: str, switches: Switches, kind: str, error: Callable[[], Exception], *, after: bool = False
) -> None:
    """Have a method raise when its kind of fault is on, before or after it has done its work."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        meets = switches.meets(kind)
        if meets and not after:
            raise error()
        result = real(*args, **kwargs)
        if meets:
            raise error()
        return result

    setattr(owner, name, call)


def _fail_threads(switches: Switches) -> None:
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if self.name == "embedding-request" and switches.meets(THREADS):
            raise RuntimeError("can't start new thread")
        real(self)

    threading.Thread.start = start  # type: ignore[method-assign]


def _limit_and_poison(extractor: Any) -> None:
    from rag_pipeline.ingest.extract.limits import ExtractionLimits

    build, extract = extractor.__init__, extractor.extract

    def limited(self: Any, _: object = None, **kwargs: Any) -> None:
        build(self, limits=ExtractionLimits(time_seconds=EXTRACTION_SECONDS), **kwargs)

    def poisoned(self: Any, path: str, **kwargs: Any) -> Any:
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - as the extractor does
                if file.read(len(POISON)) == POISON.encode():
                    os.kill(os.getpid(), signal.SIGKILL)
        except OSError:
            pass  # for the extractor to say
        return extract(self, path, **kwargs)

    extractor.__init__, extractor.extract = limited, poisoned


if __name__ == "__main__":
    sys.exit(main())
