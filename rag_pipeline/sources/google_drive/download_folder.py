"""The folder where contents lie while they are read: emptied at the start of what a killed process has left."""

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
_UNFIT = re.compile(r"[/\\\x00-\x1f\x7f]+")


class DownloadFolder:
    """Gives places for files in a folder that only this process uses; safe to use from several threads.

    Raises :class:`~rag_pipeline.errors.StateError` if the folder can't be made and emptied.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            make_private_folder(folder)
            for left in folder.iterdir():
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        except OSError as error:
            raise StateError(f"the folder for downloads {folder} can't be made and emptied: {error.strerror}") from None

    @contextmanager
    def place(self, name: str, extension: str = "") -> Iterator[Path]:
        """Give a path that nothing is at, named like the file, and remove what is there at the end of the block.

        Its last part is ``name`` as far as a folder takes it, and ends with ``extension``.
        """
        own = self.folder / secrets.token_hex(8)
        own.mkdir(FOLDER_MODE)
        try:
            yield own / file_name(name, extension)
        finally:
            shutil.rmtree(own, ignore_errors=True)


def file_name(name: str, extension: str = "") -> str:
    """Return the name as one part of a path of bounded length, ending with ``extension``."""
    plain = _UNFIT.sub("_", name).strip().encode("utf-8", "replace").decode()
    if extension and plain.lower().endswith(extension.lower()):
        plain = plain[: -len(extension)]
    stem, dot, ending = ("", "", plain) if extension else plain.rpartition(".")
    if not dot or len(ending.encode()) > 20:
        stem, dot, ending = plain, "", ""
    room = _MAX_NAME_BYTES - len((dot + ending + extension).encode())
    stem = stem.encode()[:room].decode("utf-8", "ignore")
    whole = stem + dot + ending + extension
    return "file" + whole if whole in ("", ".", "..", extension) else whole
