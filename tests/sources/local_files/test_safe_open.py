"""Opens files below a folder while somebody swaps them for links that lead outside."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rag_pipeline.sources.local_files.safe_open import below, is_at_or_below, open_file, open_folder

SECRET = b"a secret from elsewhere"


def read(folder: Path, path: Path, exclude: Path | None = None) -> bytes:
    descriptor = open_file(str(folder), str(path), exclude=None if exclude is None else str(exclude))
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of documents, and beside it a folder with a secret."""
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "docs" / "sub" / "a.txt").write_bytes(b"a document")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_bytes(SECRET)
    return tmp_path / "docs"


def test_files_and_links_inside_the_folder_are_opened(folder: Path) -> None:
    (folder / "relative").symlink_to("sub/a.txt")
    (folder / "absolute").symlink_to(folder / "sub" / "a.txt")
    for name in ("sub/a.txt", "relative", "absolute"):
        assert read(folder, folder / name) == b"a document"
    (folder.parent / "other name").symlink_to(folder)
    assert read(folder.parent / "other name", folder.parent / "other name" / "relative") == b"a document"


def test_paths_outside_or_into_the_state_folder_are_not_found(folder: Path) -> None:
    (folder / "out").symlink_to("../elsewhere/a.txt")
    (folder / "gone").symlink_to("../elsewhere")
    for path in (folder / "out", folder / "gone" / "a.txt", folder / ".." / "elsewhere" / "a.txt", folder):
        with pytest.raises(FileNotFoundError, match="leads out of the folder"):
            read(folder, path)
    with pytest.raises(FileNotFoundError, match="leads out of the folder"):
        read(folder, folder / "sub" / "a.txt", exclude=folder / "sub")


def test_special_files_are_refused_without_blocking(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for path in (folder / "pipe", folder / "sub"):
        with pytest.raises(FileNotFoundError, match="no longer a file"):
            read(folder, path)
    with pytest.raises(FileNotFoundError):
        read(folder, folder / "missing")


@pytest.mark.parametrize("swapped", ["a.txt", "sub"])
def test_a_link_put_in_between_check_and_open_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    real = os.path.realpath
    checks = 0

    def checked_then_swapped(path: str) -> str:
        nonlocal checks
        found = real(path)
        checks += 1
        if checks == 2:  # the folder, and the file
            old = folder / "sub" / "a.txt" if swapped == "a.txt" else folder / "sub"
            old.rename(folder / "old")
            old.symlink_to(folder.parent / "elsewhere" / ("a.txt" if swapped == "a.txt" else ""))
        return str(found)

    monkeypatch.setattr(os.path, "realpath", checked_then_swapped)
    with pytest.raises(FileNotFoundError, match="is no longer there"):
        read(folder, folder / "sub" / "a.txt")
    assert checks == 2


@pytest.mark.slow
def test_constant_swapping_never_wins_the_race(folder: Path) -> None:
    """Swaps a file and a folder with links as fast as possible; no open reads the secret."""
    (folder / "link").symlink_to(folder.parent / "elsewhere" / "a.txt")
    (folder / "folder link").symlink_to(folder.parent / "elsewhere")
    stop = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not stop.is_set():
            for one, other in (("sub", "folder link"), ("sub/a.txt", "link")):
                (folder / one).rename(folder / "held")
                (folder / other).rename(folder / one)
                (folder / one).rename(folder / other)
                (folder / "held").rename(folder / one)
                swaps += 1

    thread = threading.Thread(target=swap)
    thread.start()
    got: set[bytes] = set()
    try:
        for _ in range(5000):
            try:
                got.add(read(folder, folder / "sub" / "a.txt"))
            except FileNotFoundError:
                got.add(b"")
    finally:
        stop.set()
        thread.join()
    assert swaps > 100
    assert SECRET not in got


def test_folders_are_never_listed_through_a_link(folder: Path) -> None:
    (folder / "sub" / "deep").mkdir()
    (folder / "out").symlink_to(folder.parent / "elsewhere")
    (folder / "sub" / "in").symlink_to("deep")
    top = os.open(folder, os.O_RDONLY)
    try:
        for relative, names in (("", ["out", "sub"]), ("sub", ["a.txt", "deep", "in"]), ("sub/deep", [])):
            opened = open_folder(top, relative)
            assert sorted(os.listdir(opened)) == names  # noqa: PTH208 - a descriptor
            os.close(opened)
        for relative in ("out", "sub/in", "out/below", "missing", "sub/a.txt"):
            with pytest.raises(OSError):
                open_folder(top, relative)
    finally:
        os.close(top)


def test_paths_are_compared_by_parts() -> None:
    assert below("/", "/usr") == "usr"
    assert below("/usr", "/usr-2") is None
    assert below("/usr", "/usr") is None
    assert is_at_or_below("/a/b", "/a")
    assert is_at_or_below("/a", "/")
    assert not is_at_or_below("/ab", "/a")
    assert not is_at_or_below("/a", None)
