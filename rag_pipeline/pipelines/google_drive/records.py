"""What Drive tells of files and changes, as far as a pipeline uses it: typed, and asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Json = Mapping[str, Any]

FILE_FIELDS = (
    "id,name,mimeType,parents,size,md5Checksum,version,modifiedTime,trashed,explicitlyTrashed,driveId,webViewLink,"
    "shortcutDetails(targetId,targetMimeType),capabilities(canDownload),headRevisionId"
)
"""The fields of :class:`DriveFile` without ``exportLinks``, which is longer than all others together."""


class ShortcutTarget(NamedTuple):
    """What a shortcut points to: the file's id, and the MIME type it had when the shortcut was made."""

    file_id: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class DriveFile:
    """A file, folder or shortcut in Drive.

    size: bytes of the content; for Google's own formats it says nothing about an export. None for folders.
    md5: of the content, in hex; None for Google's own formats.
    version: rises with each change, also with those that leave the content as it is.
    modified_time: RFC 3339.
    trashed: whether it is in the trash, by itself (``explicitly_trashed``) or with a folder that it lies in.
    drive_id: the shared drive it is in, None for My Drive.
    export_links: addresses of exports by MIME type; empty unless they were asked for.
    """

    id: str
    name: str
    mime_type: str
    parents: tuple[str, ...] = ()
    size: int | None = None
    md5: str | None = None
    version: str = ""
    modified_time: str = ""
    trashed: bool = False
    explicitly_trashed: bool = False
    drive_id: str | None = None
    web_link: str | None = None
    shortcut_target: ShortcutTarget | None = None
    can_download: bool = True
    export_links: Mapping[str, str] = field(default_factory=dict)
    head_revision: str | None = None


class Change(NamedTuple):
    """A file that is another one than before; ``removed`` if it was deleted or can't be seen any more.

    ``file`` is None if it was removed. The loss of a whole shared drive comes as the removal of its root folder,
    whose id is the drive's.
    """

    file_id: str
    removed: bool
    file: DriveFile | None


class ChangesPage(NamedTuple):
    """A page of changes; the last has ``new_start_page_token``, to go on from later, and no ``next_page_token``."""

    changes: tuple[Change, ...]
    next_page_token: str | None
    new_start_page_token: str | None


class FilesPage(NamedTuple):
    """A page of a listing; ``incomplete`` if Drive has not searched everywhere."""

    files: tuple[DriveFile, ...]
    next_page_token: str | None
    incomplete: bool


def read_file(data: Json) -> DriveFile:
    """Return the file; raises KeyError, TypeError or ValueError if what names it is missing or malformed."""
    target = data.get("shortcutDetails") or {}
    return DriveFile(
        id=_text(data, "id"),
        name=str(data["name"]) or "Untitled",
        mime_type=_text(data, "mimeType"),
        parents=tuple(data.get("parents") or ()),
        size=None if data.get("size") is None else int(data["size"]),
        md5=data.get("md5Checksum"),
        version=str(data.get("version", "")),
        modified_time=str(data.get("modifiedTime", "")),
        trashed=bool(data.get("trashed", False)),
        explicitly_trashed=bool(data.get("explicitlyTrashed", False)),
        drive_id=data.get("driveId"),
        web_link=data.get("webViewLink"),
        shortcut_target=ShortcutTarget(_text(target, "targetId"), target.get("targetMimeType", "")) if target else None,
        can_download=bool((data.get("capabilities") or {}).get("canDownload", True)),
        export_links=dict(data.get("exportLinks") or {}),
        head_revision=data.get("headRevisionId"),
    )


def read_files_page(data: Json) -> FilesPage:
    """Return the page; raises as :func:`read_file` does."""
    files = tuple(read_file(file) for file in data.get("files") or ())
    return FilesPage(files, data.get("nextPageToken"), bool(data.get("incompleteSearch", False)))


def read_changes_page(data: Json) -> ChangesPage:
    """Return the page; raises as :func:`read_file` does."""
    changes = (_read_change(change) for change in data.get("changes") or ())
    following, start = data.get("nextPageToken"), data.get("newStartPageToken")
    if following is None and start is None:
        raise ValueError("a page of changes without a token to go on with")
    return ChangesPage(tuple(change for change in changes if change is not None), following, start)


def _read_change(data: Json) -> Change | None:
    removed = bool(data.get("removed", False))
    if data.get("changeType") == "drive":
        return Change(_text(data, "driveId"), True, None) if removed else None
    file = None if removed or not data.get("file") else read_file(data["file"])
    # A file that is neither removed nor described can't be seen: what Drive says of one that was just unshared.
    return Change(_text(data, "fileId"), file is None, file)


def _text(data: Json, key: str) -> str:
    value = data[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is not a text")
    return value
