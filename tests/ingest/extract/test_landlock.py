"""The Landlock rules; test_confinement has the attacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipeline.ingest.extract import landlock

_ROOT = Path(__file__).resolve().parents[3]

CODE = """
import os, sys
from rag_pipeline.ingest.extract import syscalls, landlock
folder, file, other = sys.argv[1:]
syscalls.forbid_new_privileges()
before = open(other)
assert landlock.allow_reading_only([folder, file, folder + "/missing"])
print(open(folder + "/a").read(), os.listdir(folder), open(file).read(), before.read())
for path, mode in ((other, "r"), (folder + "/a", "a"), (folder + "/new", "w")):
    try:
        open(path, mode)
    except PermissionError:
        print("refused")
"""


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
def test_only_the_given_paths_can_be_read(tmp_path: Path) -> None:
    folder, file, other = tmp_path / "folder", tmp_path / "file", tmp_path / "other"
    folder.mkdir()
    for path in (folder / "a", file, other):
        path.write_text(path.name)
    arguments = [str(folder), str(file), str(other)]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "a ['a'] file other\n" + 3 * "refused\n", done.stderr


def test_a_kernel_without_landlock_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(landlock, "syscall", refuse)
    assert (landlock.version(), landlock.allow_reading_only(["/"])) == (0, False)
