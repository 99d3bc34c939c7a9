from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipeline.sources.local_files import mount_table
from rag_pipeline.sources.local_files.mount_table import MountTable, parse_mount_table, read_mount_table
from tests.sources.endpoint import endpoint
from tests.sources.local_files.process import command, found


def test_mount_points_and_local_file_systems_are_parsed() -> None:
    lines = (
        rb"22 27 254:1 / / rw,relatime shared:1 - ext4 /dev/vda rw",
        rb"30 22 0:41 / /mnt/my\040share rw - nfs4 server:/docs rw,vers=4.2",
        rb"31 22 0:42 / /mnt/caf\303\251 rw - fuse.sshfs host: rw",
        rb"32 22 0:43 / /run rw - tmpfs tmpfs rw",
        rb"33 22 what",
        rb"34 22 0:44 / /proc rw - proc proc rw",
        rb"",
    )
    table = parse_mount_table(lines)
    assert table.points == {"/", "/mnt/my share", "/mnt/café", "/run", "/proc"}
    assert table.local == {os.makedev(254, 1), os.makedev(0, 43)}
    assert table.kernel == {os.makedev(0, 44)}


def test_without_a_mount_table_the_result_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount_table, "_PATH", "/nowhere/mountinfo")
    assert read_mount_table() == MountTable()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such table")
def test_the_table_of_this_machine_can_be_read() -> None:
    assert "/" in read_mount_table().points


def mounted(folder: Path, text: str | None) -> list[str]:
    """Return a command prefix that mounts a file system on the folder while the command runs."""
    write = "" if text is None else f"mount -t tmpfs none '{folder}' && printf %s '{text}' >'{folder}/a.txt' && "
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{write}exec "$@"', "sh"]


def may_mount(folder: Path) -> bool:
    run = subprocess.run([*mounted(folder, ""), "true"], capture_output=True, check=False, timeout=60)
    return run.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare of util-linux")
def test_a_single_pass_over_an_unmounted_subfolder_deletes_none_of_its_files(tmp_path: Path) -> None:
    share = tmp_path / "docs" / "share"
    share.mkdir(parents=True)
    if not may_mount(share):
        pytest.skip("this system lets nobody mount")
    (tmp_path / "docs" / "b.txt").write_text("another heron")
    with endpoint() as api:
        env = {**api.env, "STATUS_STATE_DIR": str(tmp_path / "state")}
        once = ["local-files", str(tmp_path / "docs"), "--once"]
        assert command(once, env, prefix=mounted(share, "a heron stands")).returncode == 0
        run = command(once, env, prefix=mounted(share, None))
        assert run.returncode == 1
        assert "share  scanning: the file system mounted here is gone" in run.stdout
        command(once, env, prefix=mounted(share, None))
        assert len(found("heron", env, tmp_path / "state")) == 2
        before = len(api.texts)
        assert command(once, env, prefix=mounted(share, "a heron stands")).returncode == 0
        assert len(api.texts) == before  # the new mount has other times and the same content
        share.rmdir()
        assert command(once, env).returncode == 0
        assert len(found("heron", env, tmp_path / "state")) == 1
