"""The file with a person's sign-in: private, written atomically, and validated."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.sources.google_drive.auth.token_file import Grant, load_grant, save_grant
from rag_pipeline.sources.google_drive.errors import CredentialsError

GRANT = Grant("client-1", "very secret")


def test_a_saved_grant_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    save_grant(path, Grant("client-0", "old"))
    save_grant(path, GRANT)
    assert load_grant(path) == GRANT
    assert [file.name for file in tmp_path.iterdir()] == ["token.json"]


def test_the_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_grant(tmp_path / "token.json", GRANT)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "token.json").stat().st_mode) == 0o600


def test_the_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    modes: set[int] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            for file in tmp_path.iterdir():
                try:
                    modes.add(stat.S_IMODE(file.stat().st_mode))
                except FileNotFoundError:
                    pass

    before = os.umask(0)
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(50):
            save_grant(tmp_path / "token.json", GRANT)
    finally:
        ended.set()
        watcher.join()
        os.umask(before)
    assert modes <= {0o600}


def test_a_file_that_others_can_read_is_rejected_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    save_grant(path, GRANT)
    path.chmod(0o640)
    with pytest.raises(CredentialsError, match=r"token.json can be read or written by others \(mode 0640\): run chmod"):
        load_grant(path)


def test_a_missing_file_means_that_nobody_has_signed_in(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"nobody has signed in yet .*run rag-pipeline google-drive --sign-in"):
        load_grant(tmp_path / "token.json")


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "{}", "\x00", "[" * 200_000),
        *(f'{{"client_id": "c", "refresh_token": {token}}}' for token in ("7", '""', r'"a\nb"', r'"\ud83d"')),
    ],
)
def test_a_damaged_file_is_an_error_that_does_not_quote_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token.json"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(CredentialsError, match=r"^\S+token.json does not hold a sign-in: run rag-pipeline"):
        load_grant(path)


def test_a_pipe_or_folder_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("folder", "pipe"):
        with pytest.raises(CredentialsError, match=rf"^\S+{name} can't be read: Not a regular file$"):
            load_grant(tmp_path / name)


def test_token_hashes_of_grants_differ_and_do_not_reveal_the_token() -> None:
    assert GRANT.token_hash == Grant("client-1", "very secret").token_hash != Grant("client-1", "another").token_hash
    assert "secret" not in GRANT.token_hash


def test_a_link_in_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / f".token.json.{os.getpid()}.new").symlink_to(victim)
    save_grant(tmp_path / "token.json", GRANT)
    assert victim.read_text() == "untouched"
    assert load_grant(tmp_path / "token.json") == GRANT


def test_a_failed_write_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "token.json").mkdir()
    (tmp_path / "token.json" / "in the way").touch()
    with pytest.raises(StateError, match=r"the sign-in can't be saved to \S+token.json: "):
        save_grant(tmp_path / "token.json", GRANT)
    assert [file.name for file in tmp_path.iterdir()] == ["token.json"]


def test_the_token_is_in_no_repr() -> None:
    assert "secret" not in repr(GRANT)
