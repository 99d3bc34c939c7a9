"""Builds the snapshot of the watched folder from the mirror: files to read, and unreadable ones with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rag_pipeline.sources.google_drive.export_formats import FOLDER, Unsupported, fetch_method
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.source import FoundFile, Snapshot, Unreadable
from rag_pipeline.status.checks import MAX_NAME_LENGTH, readable


def build_snapshot(mirror: Mirror, limit_bytes: int) -> Snapshot:
    """Return everything in the mirror; files of more than ``limit_bytes`` are unreadable."""
    files: dict[str, FoundFile] = {}
    unreadable: dict[str, Unreadable] = {}
    for file, retry_version in mirror.files():
        entry = snapshot_entry(file, retry_version, limit_bytes)
        if isinstance(entry, Unreadable):
            unreadable[file.id] = entry
        else:
            files[file.id] = entry
    unreadable.update((shortcut.file_id, shortcut) for shortcut in _unfollowed_shortcuts(mirror))
    position = mirror.position
    return Snapshot(files, unreadable, lambda _: False, "" if position is None else position.root_id)


def snapshot_entry(file: DriveFile, retry_version: int, limit_bytes: int) -> FoundFile | Unreadable:
    """Return the snapshot's entry for a file; see :meth:`Mirror.retry_version`."""
    method = fetch_method(file, limit_bytes)
    if isinstance(method, Unsupported):
        return _unreadable(file, method.reason)
    link = link_of(file)
    return FoundFile(
        file_id=file.id,
        name=display_name(file),
        uri=link,
        size=0 if file.md5 is None else file.size or 0,
        modified_at=_timestamp(file.modified_time),
        version=version_of(file, retry_version),
        link=link,
        mime_type=file.mime_type,
    )


def version_of(file: DriveFile, retry_version: int = 0) -> str:
    """Return a text that changes with the content, but not with the name or the date alone.

    It is the MD5 if Drive has one. Google's own formats have not even a revision, so their version number is used. It
    also rises with each rename; the pipeline then finds that the export's content is unchanged.
    """
    version = f"md5:{file.md5}" if file.md5 else f"version:{file.version}"
    return f"{version}:{retry_version}" if retry_version else version


def display_name(file: DriveFile) -> str:
    """Return the name to show, at most as long as a status allows; two files may share a name."""
    text = readable(file.name) or "Untitled"
    return text if len(text) <= MAX_NAME_LENGTH else "…" + text[1 - MAX_NAME_LENGTH :]


def link_of(file: DriveFile) -> str:
    """Return the URL that opens the file in a browser."""
    return file.web_link or f"https://drive.google.com/open?id={file.id}"


def _unfollowed_shortcuts(mirror: Mirror) -> Iterator[Unreadable]:
    """Yield the shortcuts that are not followed, and those to a file that is already in the snapshot."""
    followed: set[str] = set()
    for shortcut in mirror.shortcuts():
        if shortcut.reason is not None:
            yield _unreadable(shortcut.file, shortcut.reason)
        elif shortcut.target is not None and shortcut.target.mime_type != FOLDER:
            if shortcut.in_folders or shortcut.target.id in followed:
                yield _unreadable(shortcut.file, f"the same file as {display_name(shortcut.target)} (a shortcut)")
            followed.add(shortcut.target.id)


def _unreadable(file: DriveFile, reason: str) -> Unreadable:
    return Unreadable(file.id, display_name(file), reason, is_error=False, link=link_of(file))


def _timestamp(modified_time: str) -> float:
    try:
        return datetime.fromisoformat(modified_time).timestamp()
    except ValueError:
        return 0.0
