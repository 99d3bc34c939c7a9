"""Deaths of the process during the work on a file: counted before, told apart, and the end of a crash loop."""

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
    """Leave the state as a process leaves it that is killed while these files are worked on."""
    with started(folder) as deaths:
        for one in files:
            deaths._ledger.mark_started(one.file_id, one.version, deaths._crashes(one))


def test_work_that_ends_in_any_way_is_no_death(tmp_path: Path) -> None:
    with started(tmp_path) as deaths:
        with deaths.count(file("a")):
            pass
        with pytest.raises(RuntimeError), deaths.count(file("b")):
            raise RuntimeError
    with started(tmp_path) as deaths:
        assert not deaths.is_suspect(file("a"))
        assert not deaths.is_suspect(file("b"))


def test_after_three_deaths_a_file_fails_until_it_changes_or_somebody_asks(tmp_path: Path) -> None:
    for _ in range(MAX_CRASHES):
        with started(tmp_path) as deaths:
            deaths.check(file("a"))
        die_in(tmp_path, file("a"))
    for _ in range(2):  # it is remembered over starts
        with started(tmp_path) as deaths, pytest.raises(ProcessDiedError, match=r"a\.txt: the process died 3 times"):
            deaths.check(file("a"))
    with started(tmp_path) as deaths:
        deaths.check(file("a", "v2"))
        deaths.clear("a")
        deaths.check(file("a"))


def test_a_stop_that_is_cut_short_is_no_death(tmp_path: Path) -> None:
    with started(tmp_path) as deaths:
        deaths._ledger.mark_started("a", "v1", 0)
        deaths.stop_counting()
    with started(tmp_path) as deaths:
        assert not deaths.is_suspect(file("a"))


def test_what_was_under_way_at_a_death_is_suspect_until_it_has_come_to_an_end(tmp_path: Path) -> None:
    die_in(tmp_path, file("a"), file("poison"))
    with started(tmp_path) as deaths:
        assert deaths.is_suspect(file("a"))
        assert not deaths.is_suspect(file("b"))
        deaths.clear("a")
        assert not deaths.is_suspect(file("a"))


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
    os._exit(0)  # what the deaths have left in the folder of fetched files is looked at by no one
"""


def test_a_poison_file_is_no_endless_crash_loop(tmp_path: Path) -> None:
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
