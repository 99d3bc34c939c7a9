from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.sqlite.lock import JournalLock

HOLD = (
    "import sys; from pathlib import Path; from rag_pipeline.journal.sqlite.lock import JournalLock;"
    "lock = JournalLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
)


def test_the_lock_is_refused_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    lock = JournalLock(path)
    with pytest.raises(JournalError, match=f"^the journal {path} is in use by another server of this process: "):
        JournalLock(path)
    lock.close()
    lock.close()
    JournalLock(path).close()


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(JournalError, match=f"process {child.pid}$"):
            JournalLock(path)
        child.kill()
        child.wait(30)
    JournalLock(path).close()


def test_two_journals_in_one_folder_have_a_lock_each(tmp_path: Path) -> None:
    one, two = JournalLock(tmp_path / "one"), JournalLock(tmp_path / "two")
    one.close()
    two.close()


def test_a_lock_file_that_can_not_be_made_is_reported_with_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "journal"
    with pytest.raises(JournalError, match=f"^{path} can't be used: .*No such file or directory") as caught:
        JournalLock(path)
    assert "\n" not in str(caught.value)
