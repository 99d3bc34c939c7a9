"""Landlock: restrict for good which files a process can open."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress

from rag_pipeline.ingest.extract.syscalls import syscall

# System call numbers, the same on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# All rights over files, TCP ports and other processes that each version of the interface knows. Rights that are not
# handled stay allowed, so all are handled.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_PORT_RIGHTS = 0b11
_SCOPES = 0b11


def version() -> int:
    """Return the kernel's version of Landlock; 0 for none."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def allow_reading_only(paths: Iterable[str]) -> bool:
    """Allow this process to open only these files and the files below these folders, and only for reading.

    TCP, signals to other processes and abstract sockets are forbidden too, if the kernel's version supports it. Open
    files stay open. Return whether the rules are in force; without Landlock nothing changes.
    """
    kernel_version = version()
    if kernel_version == 0:
        return False
    try:
        ruleset = _make_ruleset(kernel_version)
        try:
            for path in paths:
                _allow(ruleset, path)
            syscall(_RESTRICT_SELF, ruleset, 0)
        finally:
            os.close(ruleset)
    except OSError:
        return False
    return True


def _make_ruleset(version: int) -> int:
    files = (1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1
    attributes = [files]
    if version >= 4:
        attributes.append(_PORT_RIGHTS)
    if version >= 6:
        attributes.append(_SCOPES)
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    return syscall(_CREATE_RULESET, ctypes.create_string_buffer(packed, len(packed)), len(packed), 0)


def _allow(ruleset: int, path: str) -> None:
    """Allow reading a file, or everything below a folder; a missing path needs no rule."""
    with suppress(OSError):
        # O_PATH exists on Linux only, as does Landlock.
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore]
        try:
            rights = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE  # noqa: PTH112
            rule = struct.pack("=Qi", rights, descriptor)
            syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
        finally:
            os.close(descriptor)
