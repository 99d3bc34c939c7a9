"""Reads the mount table from ``/proc/self/mountinfo``; it is empty on systems without one, such as macOS."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

_PATH = "/proc/self/mountinfo"
# The kernel sees every change of these. Shares and FUSE file systems change behind its back.
_LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
_KERNEL = frozenset(
    {"binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs", "mqueue", "nsfs", "proc"}
    | {"pstore", "securityfs", "selinuxfs", "sysfs", "tracefs"}
)
_escaped_byte = re.compile(rb"\\([0-7]{3})")


class MountTable(NamedTuple):
    """The mounted file systems.

    points: the mount points, as absolute paths.
    local: ``st_dev`` of the file systems whose every change the kernel sees.
    kernel: ``st_dev`` of the file systems that the kernel generates, such as ``/proc``.
    """

    points: frozenset[str] = frozenset()
    local: frozenset[int] = frozenset()
    kernel: frozenset[int] = frozenset()


def read_mount_table() -> MountTable:
    """Return the current mount table."""
    try:
        with open(_PATH, "rb") as file:  # noqa: PTH123
            return parse_mount_table(file.read().splitlines())
    except OSError:
        return MountTable()


def parse_mount_table(lines: Iterable[bytes]) -> MountTable:
    """Return the mount table of these lines; lines that can't be parsed are left out."""
    points: set[str] = set()
    local: set[int] = set()
    kernel: set[int] = set()
    for line in lines:
        fields, _, about = line.partition(b" - ")
        parts, kind = fields.split(b" "), about.split(b" ", 1)[0]
        try:
            major, minor = map(int, parts[2].split(b":"))
            points.add(os.fsdecode(_escaped_byte.sub(lambda match: bytes([int(match[1], 8)]), parts[4])))
        except (IndexError, ValueError):
            continue
        name = kind.decode("ascii", "replace")
        if name in _LOCAL:
            local.add(os.makedev(major, minor))
        elif name in _KERNEL:
            kernel.add(os.makedev(major, minor))
    return MountTable(frozenset(points), frozenset(local), frozenset(kernel))
