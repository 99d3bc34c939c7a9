"""The mount table: what is mounted where, from ``/proc/self/mountinfo``; empty where there is none, as on macOS."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

_PATH = "/proc/self/mountinfo"
# The kernel sees every change of these, so it can tell of it. A share or a FUSE file system changes behind its back.
_LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
_KERNEL = frozenset(
    {"binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs", "mqueue", "nsfs", "proc"}
    | {"pstore", "securityfs", "selinuxfs", "sysfs", "tracefs"}
)
_escaped_byte = re.compile(rb"\\([0-7]{3})")


class MountTable(NamedTuple):
    """``points`` are absolute paths, the others hold ``st_dev`` of file systems.

    ``local`` are those whose changes the kernel sees, ``kernel`` those whose files are the kernel's own words.
    """

    points: frozenset[str] = frozenset()
    local: frozenset[int] = frozenset()
    kernel: frozenset[int] = frozenset()


def read_mount_table() -> MountTable:
    """Return the mount table as it is now."""
    try:
        with open(_PATH, "rb") as file:  # noqa: PTH123
            return parse_mount_table(file.read().splitlines())
    except OSError:
        return MountTable()


def parse_mount_table(lines: Iterable[bytes]) -> MountTable:
    """Return the table of these lines; one that is not understood is left out."""
    points: set[str] = set()
    local: set[int] = set()
    kernel: set[int] = set()
    for line in lines:
        fields, _, about = line.partition(b" - ")
        parts, kind = fields.split(b" "), about.split(b" ", 1)[0]
        try:
            major, minor = map(int, parts[2].split(b":"))
            points.add(os.fsdecode(_escaped_byte.sub(lambda found: bytes([int(found[1], 8)]), parts[4])))
        except (IndexError, ValueError):
            continue
        name = kind.decode("ascii", "replace")
        if name in _LOCAL:
            local.add(os.makedev(major, minor))
        elif name in _KERNEL:
            kernel.add(os.makedev(major, minor))
    return MountTable(frozenset(points), frozenset(local), frozenset(kernel))
