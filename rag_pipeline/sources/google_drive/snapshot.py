"""From the mirror to what a pipeline follows: files to read, and unreadable with the reason why they are left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rag_pipeline.sources.google_drive.export_formats import FOLDER, Unsupported, fetch_method
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.source import FoundFile, Snapshot, Unreadable
from rag_pipeline.status.checks import MAX_NAME_LENGTH, readable


def build_snapshot(mirror: Mirror, limit_bytes: int) -> Snapshot:
    """Return all that is in the mirror; files of more than ``limit_bytes`` are left out."""
    files: dict[str, FoundFile] = {}
    unreadable: dict[str, Unreadable] = {}
    for file, retried in mirror.files():
        followed = snapshot_entry(file, retried, limit_bytes)
        if isinstance(followed, Unreadable):
            unreadable[file.id] = followed
        else:
            files[file.id] = followed
    unreadable.update((odd.file_id, odd) for odd in _odd_shortcuts(mirror))
    position = mirror.position
    return Snapshot(files, unreadable, lambda _: False, "" if position is None else position.root_id)


def snapshot_entry(file: DriveFile, retried: int, limit_bytes: int) -> FoundFile | Unreadable:
    """Return what a file is followed as, with the version; ``retried`` is what :meth:`Mirror.retried` says of it."""
    kind = fetch_method(file, limit_bytes)
    if isinstance(kind, Unsupported):
        return _odd(file, kind.reason)
    link = link_of(file)
    return FoundFile(
        file_id=file.id,
        name=display_name(file),
        uri=link,
        size=0 if file.md5 is None else file.size or 0,
        modified_at=_seconds(file.modified_time),
        version=version_of(file, retried),
        link=link,
        mime_type=file.mime_type,
    )


def version_of(file: DriveFile, retried: int = 0) -> str:
    """Return what changes with the content, and not with a name or a date alone.

    That is the hash where Drive has one. Of its own documents it has not even a revision, so their version has to do,
    which rises with each rename too; their export is then found unchanged by its content.
    """
    version = f"md5:{file.md5}" if file.md5 else f"version:{file.version}"
    return f"{version}:{retried}" if retried else version


def display_name(file: DriveFile) -> str:
    """Return the name to show; two files can share it, never their ids."""
    text = readable(file.name) or "Untitled"
    return text if len(text) <= MAX_NAME_LENGTH else "…" + text[1 - MAX_NAME_LENGTH :]


def link_of(file: DriveFile) -> str:
    """Return the address at which a person opens the file."""
    return file.web_link or f"https://drive.google.com/open?id={file.id}"


def _odd_shortcuts(mirror: Mirror) -> Iterator[Unreadable]:
    """Yield the shortcuts that lead nowhere, or to a file that is there already."""
    followed: set[str] = set()
    for shortcut in mirror.shortcuts():
        if shortcut.reason is not None:
            yield _odd(shortcut.file, shortcut.reason)
        elif shortcut.target is not None and shortcut.target.mime_type != FOLDER:
            if shortcut.in_folders or shortcut.target.id in followed:
                yield _odd(shortcut.file, f"the same file as {display_name(shortcut.target)} (a shortcut)")
            followed.add(shortcut.target.id)


def _odd(file: DriveFile, reason: str) -> Unreadable:
    return Unreadable(file.id, display_name(file), reason, is_error=False, link=link_of(file))


def _seconds(modified_time: str) -> float:
    try:
        return datetime.fromisoformat(modified_time).timestamp()
    except ValueError:
        return 0.0
