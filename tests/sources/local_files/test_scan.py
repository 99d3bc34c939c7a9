from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.local_files import safe_open
from rag_pipeline.sources.local_files import scan as scan_module
from rag_pipeline.sources.local_files.mount_table import read_mount_table
from rag_pipeline.sources.local_files.names import path_of
from rag_pipeline.sources.local_files.scan import (
    TO_OUTSIDE,
    FolderScan,
    FolderUnavailableError,
    current_version,
    scan_folder,
)


def scanned(folder: Path, **kwargs: Any) -> FolderScan:
    return scan_folder(str(folder), **kwargs)


def reasons(found: FolderScan) -> dict[str, str]:
    return {key: entry.reason for key, entry in found.unreadable.items()}


@contextmanager
def refused(monkeypatch: pytest.MonkeyPatch, folder: Path, error: OSError) -> Iterator[None]:
    """Make listing a folder fail; its mode would not stop root, which tests may run as."""
    real = safe_open.open_folder

    def open_folder(top: int, relative: str) -> int:
        if relative == folder.name:
            raise error
        return real(top, relative)

    with monkeypatch.context() as patch:
        patch.setattr(scan_module, "open_folder", open_folder)
        yield


def test_files_of_all_subfolders_are_found_with_ids_relative_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_text("12345")
    (tmp_path / "top.txt").write_text("")
    found = scanned(tmp_path)
    assert sorted(found.files) == ["a/b/c.txt", "top.txt"]
    file = found.files["a/b/c.txt"]
    assert (file.size, path_of(file.uri)) == (5, str(tmp_path / "a" / "b" / "c.txt"))
    assert file.version == current_version(path_of(file.uri))
    assert found.unreadable == {}


def test_hidden_and_temporary_files_and_the_state_folder_are_ignored(tmp_path: Path) -> None:
    for name in (".git/config", "sub/~$x.docx", "x.part", "state/store/data", "a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = scanned(tmp_path, exclude=str(tmp_path / "state"))
    assert (list(found.files), found.unreadable) == (["a.txt"], {})


def test_the_version_changes_although_size_and_modification_time_do_not(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    before, info = current_version(str(file)), file.stat()
    deadline = time.monotonic() + 10
    while file.stat().st_ctime_ns == info.st_ctime_ns and time.monotonic() < deadline:
        file.write_text("two")
        os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert current_version(str(file)) != before


def test_links_that_lead_outside_are_followed_only_on_request(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "link.txt").symlink_to(outside)
    found = scanned(folder)
    assert (list(found.files), reasons(found)) == ([], {"link.txt": TO_OUTSIDE})
    assert not found.unreadable["link.txt"].is_error, "so the text it had goes out of the store"
    found = scanned(folder, follow_outside=True)
    assert (list(found.files), found.unreadable) == (["link.txt"], {})


def test_links_that_lead_outside_do_not_reveal_their_targets(tmp_path: Path) -> None:
    """The result does not reveal whether there is a file, a folder or nothing."""
    folder, beside = tmp_path / "docs", tmp_path / "docs-2"
    (folder / "sub").mkdir(parents=True)
    beside.mkdir()
    (beside / "a.txt").write_text("x")
    (beside / "back").symlink_to(folder / "in.txt")
    (tmp_path / "hop").symlink_to(beside)
    (folder / "in.txt").write_text("x")
    targets = {
        "absolute": "/etc/shadow",
        "relative": "../docs-2/a.txt",
        "sub/above": "../../docs-2/a.txt",
        "in and out": "sub/../../docs-2/a.txt",
        "over a link in the middle": str(tmp_path / "hop" / "a.txt"),
        "over another link": "relative",
        "folder": str(beside),
        "root": "/",
        "nothing": str(tmp_path / "nothing"),
        "below a file": "/etc/passwd/x",
        "device": "/dev/zero",
        "environment": "/proc/self/environ",
        "descriptor": "/proc/self/fd/0",
        "loop outside": str(tmp_path / "loop"),
    }
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    found = scanned(folder)
    assert reasons(found) == dict.fromkeys(targets, TO_OUTSIDE)
    assert list(found.files) == ["in.txt"]


def test_links_that_lead_inside_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / ".kept").mkdir(parents=True)
    for name in "abcd":
        (folder / ".kept" / f"{name}.txt").write_text(name)  # ignored under its own name
    (tmp_path / "docs-link").symlink_to("docs")
    (tmp_path / "back").symlink_to(folder / ".kept" / "d.txt")
    (folder / "absolute").symlink_to(folder / ".kept" / "a.txt")
    (folder / "relative").symlink_to(".kept/b.txt")
    (folder / "round").symlink_to("../docs-link/.kept/c.txt")
    (folder / "out and in").symlink_to(tmp_path / "back")
    found = scanned(folder)
    assert (sorted(found.files), found.unreadable) == (["absolute", "out and in", "relative", "round"], {})


def test_links_into_the_state_folder_are_not_followed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "google-drive-token.json").write_text("{}")
    (tmp_path / "token.json").symlink_to("state/google-drive-token.json")
    for follow in (False, True):
        found = scanned(tmp_path, exclude=str(state), follow_outside=follow)
        assert (list(found.files), list(found.unreadable)) == ([], ["token.json"])
        assert reasons(found)["token.json"] == "a symbolic link into the state folder: not followed"


def test_files_of_the_kernel_are_never_ingested(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "environment").symlink_to("/proc/self/environ")
    (folder / "null").symlink_to("/dev/null")
    found = scanned(folder, follow_outside=True, kernel_devices=read_mount_table().kernel)
    assert (list(found.files), reasons(found)) == (
        [],
        {
            "environment": "a symbolic link to a file of the kernel's: not a document",
            "null": "a symbolic link to a device: not a document",
        },
    )


def test_a_folder_that_becomes_a_link_during_the_scan_is_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "docs", tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text("x")
    swapped: list[str] = []

    def swap() -> None:  # called after a subfolder was listed and before it is entered
        if not swapped:
            swapped.append("")
            (folder / "sub").rename(tmp_path / "sub")
            (folder / "sub").symlink_to(outside)

    found = scanned(folder, check=swap)
    assert [*found.files, *found.unreadable] == []
    assert found.unlisted == {"sub"}


def test_a_file_with_several_paths_is_found_once(tmp_path: Path) -> None:
    (tmp_path / "z-real.txt").write_text("x")
    (tmp_path / "a-link.txt").symlink_to("z-real.txt")
    (tmp_path / "hard-1.txt").write_text("y")
    os.link(tmp_path / "hard-1.txt", tmp_path / "hard-2.txt")
    (tmp_path / "b-link.txt").symlink_to("hard-2.txt")
    found = scanned(tmp_path)
    assert sorted(found.files) == ["hard-1.txt", "z-real.txt"]
    assert reasons(found) == {
        "a-link.txt": "the same file as z-real.txt (a symbolic link)",
        "b-link.txt": "the same file as hard-1.txt (a symbolic link)",
        "hard-2.txt": "the same file as hard-1.txt (a hard link)",
    }


def test_two_links_to_one_file_outside_give_one_file(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("x")
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "1.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "2.txt").symlink_to(tmp_path / "outside.txt")
    found = scanned(folder, follow_outside=True)
    assert (list(found.files), list(found.unreadable)) == (["1.txt"], ["2.txt"])


def test_loops_of_links_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text("x")
    (folder / "self").symlink_to("self")
    (folder / "x").symlink_to("y")
    (folder / "y").symlink_to("x")
    (folder / "sub" / "up").symlink_to("..")
    (folder / "sub" / "here").symlink_to(".")
    (folder / "root").symlink_to("/")
    (folder / "sub2").symlink_to("sub")
    (folder / "broken").symlink_to("nowhere")
    found = scanned(folder, follow_outside=True)
    assert list(found.files) == ["sub/a.txt"]
    assert {key: reason.split(":")[0] for key, reason in reasons(found).items()} == {
        "self": "a symbolic link that leads back to itself",
        "x": "a symbolic link that leads back to itself",
        "y": "a symbolic link that leads back to itself",
        "sub/up": "a symbolic link that loops back to a folder it is in",
        "sub/here": "a symbolic link that loops back to a folder it is in",
        "root": "a symbolic link that loops back to a folder it is in",
        "sub2": "a symbolic link to a folder",
        "broken": "a symbolic link to nothing",
    }
    assert not any(entry.is_error for entry in found.unreadable.values())


def test_special_files_are_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found = scanned(tmp_path, follow_outside=True)
    assert reasons(found) == {
        "pipe": "a named pipe: not a document",
        "socket": "a socket: not a document",
        "to-null": "a symbolic link to a device: not a document",
    }


def test_names_that_are_not_utf8_have_their_own_ids(tmp_path: Path) -> None:
    for name in (b"caf\xe9.txt", b"caf\xe8.txt", b"caf\\xe9.txt"):
        (Path(os.fsdecode(os.fsencode(tmp_path))) / os.fsdecode(name)).write_text("x")
    found = scanned(tmp_path)
    assert sorted(found.files) == ["caf\\\\xe9.txt", "caf\\xe8.txt", "caf\\xe9.txt"]
    assert Path(path_of(found.files["caf\\xe9.txt"].uri)).read_text() == "x"


def test_a_folder_that_cannot_be_listed_is_an_error_and_its_files_may_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.txt").write_text("x")
    with refused(monkeypatch, tmp_path / "locked", PermissionError(errno.EACCES, "Permission denied")):
        found = scanned(tmp_path)
    assert found.unlisted == {"locked"}
    assert found.unreadable["locked"].is_error
    assert reasons(found) == {"locked": "the folder can't be listed: Permission denied"}
    assert list(found.files) == ["a.txt"]


def test_a_folder_deleted_during_the_scan_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    with refused(monkeypatch, tmp_path / "gone", FileNotFoundError(errno.ENOENT, "No such file or directory")):
        assert scanned(tmp_path).unreadable == {}


def test_a_missing_watched_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(FolderUnavailableError, match="No such file"):
        scanned(tmp_path / "missing")


def test_a_scan_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        scanned(tmp_path, check=stop)


def test_a_path_that_is_too_long_is_an_error_of_that_folder(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=here)
            deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
    finally:
        os.close(here)
    found = scanned(tmp_path)
    assert [entry.is_error for entry in found.unreadable.values()] == [True]
    assert "name too long" in next(iter(reasons(found).values()))


def test_a_watched_folder_deleted_or_replaced_during_the_scan_is_unavailable(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)

    def leave() -> None:
        root.rename(tmp_path / "away")

    with pytest.raises(FolderUnavailableError, match="No such file"):
        scanned(root, check=leave)
    (tmp_path / "away").rename(root)

    def replace() -> None:
        leave()
        root.mkdir()

    with pytest.raises(FolderUnavailableError, match="another folder has its path now"):
        scanned(root, check=replace)
