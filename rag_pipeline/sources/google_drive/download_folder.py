"""Folder of temporary downloads; files that a killed process left there are removed at the start."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_pipeline.common.private_files import FOLDER_MODE, make_private_folder
from rag_pipeline.errors import StateError

_MAX_NAME_BYTES = 200
_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f]+")


class DownloadFolder:
    """A folder that only this process uses; safe under threads.

    Raises :class:`~rag_pipeline.errors.StateError` if the folder can't be created and emptied.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            make_private_folder(folder)
            for leftover in folder.iterdir():
                shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
        except OSError as error:
            raise StateError(
                f"the folder for downloads {folder} can't be created and emptied: {error.strerror}"
            ) from None

    @contextmanager
    def new_path(self, name: str, extension: str = "") -> Iterator[Path]:
        """Yield an unused path that is named like the file; at the end of the block, remove what is there."""
        subfolder = self.folder / secrets.token_hex(8)
        subfolder.mkdir(FOLDER_MODE)
        try:
            yield subfolder / file_name(name, extension)
        finally:
            shutil.rmtree(subfolder, ignore_errors=True)


def file_name(name: str, extension: str = "") -> str:
    """Return the name as a valid file name of bounded length that ends with ``extension``."""
    plain = _NOT_IN_NAMES.sub("_", name).strip().encode("utf-8", "replace").decode()
    if extension and plain.lower().endswith(extension.lower()):
        plain = plain[: -len(extension)]
    stem, dot, ending = ("", "", plain) if extension else plain.rpartition(".")
    if not dot or len(ending.encode()) > 20:
        stem, dot, ending = plain, "", ""
    room = _MAX_NAME_BYTES - len((dot + ending + extension).encode())
    stem = stem.encode()[:room].decode("utf-8", "ignore")
    whole = stem + dot + ending + extension
    return "file" + whole if whole in ("", ".", "..", extension) else whole
