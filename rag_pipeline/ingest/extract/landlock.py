"""Landlock: a process gives up the opening of all files but a few, for good."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress

from rag_pipeline.ingest.extract.syscalls import syscall

# The same numbers on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# All rights over files, TCP ports and other processes that each version of the interface knows: nothing is left out,
# so that nothing but reading is allowed.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_PORT_RIGHTS = 0b11
_SCOPES = 0b11


def version() -> int:
    """Return the version of Landlock that the kernel offers, 0 for none."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def allow_reading_only(paths: Iterable[str]) -> bool:
    """Forbid this process to open anything but these files and what is below these folders, and these for reading.

    TCP, signals to others and abstract sockets are forbidden too, as far as the kernel's version goes. What is open
    already stays open. Return whether it is so; with no Landlock nothing is changed.
    """
    found = version()
    if found == 0:
        return False
    try:
        ruleset = _make_ruleset(found)
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
    """Allow the reading of a file, or of all that is below a folder; what is not there needs no rule."""
    with suppress(OSError):
        # Linux alone has it, and Landlock.
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore]
        try:
            rights = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE  # noqa: PTH112
            rule = struct.pack("=Qi", rights, descriptor)
            syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
        finally:
            os.close(descriptor)
