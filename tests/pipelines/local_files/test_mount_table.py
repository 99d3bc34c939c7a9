from __future__ import annotations

import os
import sys

import pytest

from rag_pipeline.pipelines.local_files import mount_table
from rag_pipeline.pipelines.local_files.mount_table import MountTable, parse_mount_table, read_mount_table


def test_points_and_local_file_systems_are_read() -> None:
    lines = (
        rb"22 27 254:1 / / rw,relatime shared:1 - ext4 /dev/vda rw",
        rb"30 22 0:41 / /mnt/my\040share rw - nfs4 server:/docs rw,vers=4.2",
        rb"31 22 0:42 / /mnt/caf\303\251 rw - fuse.sshfs host: rw",
        rb"32 22 0:43 / /run rw - tmpfs tmpfs rw",
        rb"33 22 what",
        rb"",
    )
    table = parse_mount_table(lines)
    assert table.points == {"/", "/mnt/my share", "/mnt/café", "/run"}
    assert table.local == {os.makedev(254, 1), os.makedev(0, 43)}


def test_without_a_table_nothing_is_known_to_be_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount_table, "_PATH", "/nowhere/mountinfo")
    assert read_mount_table() == MountTable()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such table")
def test_the_table_of_this_machine_can_be_read() -> None:
    assert "/" in read_mount_table().points
