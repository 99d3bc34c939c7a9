from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import UnsupportedFileTypeError
from rag_pipeline.ingest.extract.open_file import open_regular


def test_a_file_is_opened_for_reading_and_not_inherited(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    descriptor = open_regular(str(tmp_path / "a"))
    try:
        assert (os.read(descriptor, 9), os.get_inheritable(descriptor)) == (b"text", False)
        with pytest.raises(OSError):
            os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def test_special_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((tmp_path, "a folder"), (tmp_path / "pipe", "a named pipe"), (Path("/dev/null"), "a device")):
        with pytest.raises(UnsupportedFileTypeError, match=f"is {what}, not a file"):
            open_regular(str(path))


def test_a_file_replaced_by_a_pipe_before_the_open_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "a", os.open
    path.write_text("text")
    opened: list[int] = []

    def swapped(name: str, flags: int, **options: Any) -> int:
        path.unlink()
        os.mkfifo(path)
        opened.append(real(name, flags, **options))
        return opened[0]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", swapped)
        with pytest.raises(UnsupportedFileTypeError, match="a named pipe"):
            open_regular(str(path))
    with pytest.raises(OSError):
        os.fstat(opened[0])


def test_a_symbolic_link_is_followed_only_if_allowed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    (tmp_path / "link").symlink_to("a")
    os.close(open_regular(str(tmp_path / "link")))
    with pytest.raises(OSError):
        os.close(open_regular(str(tmp_path / "link"), follow=False))
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        os.close(open_regular("a", folder=folder, follow=False))
    finally:
        os.close(folder)
