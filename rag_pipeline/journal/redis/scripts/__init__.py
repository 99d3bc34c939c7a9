"""The Lua scripts that the Redis server runs. Each script is atomic; its file describes its keys and arguments.

A pipeline whose keys can't be used never blocks the others.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files


class Script:
    """A script's source, and the digest by which the server knows it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _load(name: str, *libraries: str) -> Script:
    """Return the script ``name.lua``, with the functions of ``lib/*.lua`` inserted below its ``#!lua`` line."""
    header, body = _read(f"{name}.lua").split("\n", 1)
    return Script("\n".join([header, *(_read(f"lib/{library}.lua") for library in libraries), body]))


def _read(path: str) -> str:
    return files(__name__).joinpath(path).read_text(encoding="utf-8")


ADOPT = _load("adopt")
APPEND = _load("append", "ownership", "key_checks")
CLAIM = _load("claim", "ownership", "key_checks", "legacy_keys")
FOLLOW = _load("follow", "stream")
PAGE = _load("page", "stream")
RELEASE = _load("release")
RENEW = _load("renew", "ownership")
SAVED_STATES = _load("saved_states")
SNAPSHOT = _load("snapshot", "stream")
STALLED = _load("stalled")
STREAM_INFO = _load("stream_info", "stream")
