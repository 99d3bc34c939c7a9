"""Make OLE containers (compound files) from streams, for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_SECTOR = 512
_MIN_BYTES = 4096  # shorter streams would be in a file system of their own
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_STORAGE, _STREAM, _ROOT = 1, 2, 5


def make_container(streams: Mapping[str, bytes]) -> bytes:
    """Return a container; names of streams are paths such as ``folder/name``. Short streams are padded."""
    streams = {name: data.ljust(_MIN_BYTES, b" " if b"<" in data else b"\0") for name, data in streams.items()}
    names = sorted({"/".join(path.split("/")[:depth]) for path in streams for depth in range(1, path.count("/") + 2)})
    indexes = {name: number for number, name in enumerate(names, start=1)}
    sectors: list[bytes] = []
    fat: list[int] = []

    def store(data: bytes) -> int:
        first = len(sectors)
        for at in range(0, len(data), _SECTOR):
            sectors.append(data[at : at + _SECTOR].ljust(_SECTOR, b"\0"))
            fat.append(len(sectors))
        fat[-1] = _END
        return first

    starts = {name: store(data) for name, data in streams.items() if data}
    entries = [_entry("Root Entry", _ROOT, _FREE, _first_child("", names, indexes), _END, 0)]
    for name in names:
        folder = name.rpartition("/")[0]
        siblings = [other for other in names if other.rpartition("/")[0] == folder]
        following = siblings[siblings.index(name) + 1 :]
        right = indexes[following[0]] if following else _FREE
        kind = _STREAM if name in streams else _STORAGE
        child = _first_child(name, names, indexes)
        size = len(streams.get(name, b""))
        entries.append(_entry(name.rpartition("/")[2], kind, right, child, starts.get(name, _END), size))
    directory = store(b"".join(entries))
    fat_sectors = -(-(len(fat) + 8) // 128)
    first_fat = len(sectors)
    fat += [_FAT] * fat_sectors
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(fat_sectors * _SECTOR, b"\xff")
    header = struct.pack(
        "<8s16xHHHHH6xIII4xIIIII", bytes.fromhex("d0cf11e0a1b11ae1"), 0x3E, 3, 0xFFFE, 9, 6,
        0, fat_sectors, directory, _MIN_BYTES, _END, 0, _END, 0,
    )  # fmt: skip
    places = struct.pack("<109I", *range(first_fat, first_fat + fat_sectors), *[_FREE] * (109 - fat_sectors))
    return (header + places).ljust(_SECTOR, b"\0") + b"".join(sectors) + table


def _first_child(folder: str, names: list[str], indexes: Mapping[str, int]) -> int:
    return next((indexes[name] for name in names if name.rpartition("/")[0] == folder and name != folder), _FREE)


def _entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
    raw = (name + "\0").encode("utf-16-le")
    return struct.pack("<64sHBBIII36xIQ", raw, len(raw), kind, 1, _FREE, right, child, start, size)
