from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_pipeline.sources.following.crash_counter import MAX_CRASHES, CrashCounter, ProcessDiedError
from rag_pipeline.sources.ledger import Ledger, Outcome
from rag_pipeline.sources.source import FoundFile
from tests.support.programs import ROOT
from tests.support.waiting import DEADLINE_SECONDS


def file(key: str, version: str = "v1") -> FoundFile:
    return FoundFile(key, f"{key}.txt", f"file:///{key}", 1, 1.0, version)


@contextmanager
def started(folder: Path) -> Iterator[CrashCounter]:
    with Ledger(folder, "scope") as ledger:
        yield CrashCounter(ledger)


def die_in(folder: Path, *files: FoundFile) -> None:
    """Leave the state of a process that was killed while these files were in work."""
    with started(folder) as crashes:
        for one in files:
            crashes._ledger.mark_started(one.file_id, one.version, crashes._crashes(one))


def test_work_that_ends_in_any_way_counts_no_crash(tmp_path: Path) -> None:
    with started(tmp_path) as crashes:
        with crashes.count(file("a")):
            pass
        with pytest.raises(RuntimeError), crashes.count(file("b")):
            raise RuntimeError
    with started(tmp_path) as crashes:
        assert not crashes.is_suspect(file("a"))
        assert not crashes.is_suspect(file("b"))


def test_after_three_crashes_a_file_fails_until_it_changes_or_is_retried(tmp_path: Path) -> None:
    for _ in range(MAX_CRASHES):
        with started(tmp_path) as crashes:
            crashes.check(file("a"))
        die_in(tmp_path, file("a"))
    for _ in range(2):  # the count survives restarts
        with started(tmp_path) as crashes, pytest.raises(ProcessDiedError, match=r"a\.txt: the process died 3 times"):
            crashes.check(file("a"))
    with started(tmp_path) as crashes:
        crashes.check(file("a", "v2"))
        crashes.clear("a")
        crashes.check(file("a"))


def test_a_kill_during_a_stop_counts_no_crash(tmp_path: Path) -> None:
    with started(tmp_path) as crashes:
        crashes._ledger.mark_started("a", "v1", 0)
        crashes.stop_counting()
    with started(tmp_path) as crashes:
        assert not crashes.is_suspect(file("a"))


def test_a_file_in_work_at_a_crash_is_suspect_until_its_work_ends(tmp_path: Path) -> None:
    die_in(tmp_path, file("a"), file("poison"))
    with started(tmp_path) as crashes:
        assert crashes.is_suspect(file("a"))
        assert not crashes.is_suspect(file("b"))
        crashes.clear("a")
        assert not crashes.is_suspect(file("a"))


PROGRAM = """
import os, sys, threading
from pathlib import Path
from tests.sources.following.memory_source import following
from tests.sources.memory_stages import MemoryStore

store = MemoryStore()
with following(Path(sys.argv[1]), store, workers=2, start=False) as run:
    for key in ("good1", "poison", "good2", "good3"):
        run.source.write(key, key)

    def read():
        plain = run.test.extractor.extract
        def extract(path, *, on_progress=None, descriptor=None):
            if path.endswith("poison.txt"):
                os._exit(9)
            return plain(path, on_progress=on_progress)
        run.test.extractor.extract = extract

    read()
    run.thread.start()
    run.wait(lambda: run.state()["status"] == "idle", 60)
    print("idle", sorted(store.texts()), [f["name"] for f in run.state()["files_failed"]], flush=True)
    os._exit(0)  # skips the check for leftovers of the crashes
"""


@pytest.mark.slow
def test_a_poison_file_causes_no_endless_crash_loop(tmp_path: Path) -> None:
    codes = []
    for _ in range(MAX_CRASHES + 1):
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        codes.append(ended.returncode)
    assert codes == [9] * MAX_CRASHES + [0], ended.stderr
    assert ended.stdout.strip() == "idle ['good1', 'good2', 'good3'] ['poison.txt']"
    with Ledger(tmp_path / "state", "scope") as ledger:
        row = ledger.rows()["poison"]
        assert (row.outcome, row.retry_at) == (Outcome.FAILED, None)
        assert "died 3 times" in str(row.reason)
