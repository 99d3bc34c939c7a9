"""Drive's JSON as typed records: files, changes and pages of them.

A field of an unexpected type makes the whole answer malformed. Lone surrogates, which JSON can hold and UTF-8 can't,
are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

JsonObject = Mapping[str, Any]
_T = TypeVar("_T")

FILE_FIELDS = (
    "id,name,mimeType,parents,size,md5Checksum,version,modifiedTime,trashed,explicitlyTrashed,driveId,webViewLink,"
    "shortcutDetails(targetId,targetMimeType),capabilities(canDownload),headRevisionId"
)
"""The fields of :class:`DriveFile` without ``exportLinks``, which is longer than all others together."""

_MAX_NUMBER = (1 << 63) - 1  # Drive and the mirror's SQLite use 64-bit numbers
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class ShortcutTarget(NamedTuple):
    """The target of a shortcut: the file's id, and its MIME type at the time the shortcut was made."""

    file_id: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class DriveFile:
    """A file, folder or shortcut in Drive.

    size: bytes of the content; unrelated to the size of an export for Google's own formats. None for folders.
    md5: of the content, in hex; None for Google's own formats.
    version: a number that rises with each change, including changes that leave the content as it is.
    modified_time: RFC 3339.
    trashed: whether it is in the trash, by itself (``explicitly_trashed``) or with a folder above it.
    drive_id: its shared drive, None for My Drive.
    export_links: URLs of exports by MIME type; empty unless they were requested.
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


class DriveChange(NamedTuple):
    """A changed file; ``removed`` if it was deleted or is no longer visible, and ``file`` is then None.

    The loss of a whole shared drive is the removal of its root folder, which has the drive's id.
    """

    file_id: str
    removed: bool
    file: DriveFile | None


class ChangesPage(NamedTuple):
    """A page of changes; the last page has the ``new_start_page_token`` of later changes, and no next page."""

    changes: tuple[DriveChange, ...]
    next_page_token: str | None
    new_start_page_token: str | None


class FilesPage(NamedTuple):
    """A page of a listing; ``incomplete`` if Drive did not search everywhere."""

    files: tuple[DriveFile, ...]
    next_page_token: str | None
    incomplete: bool


def read_file(data: JsonObject) -> DriveFile:
    """Return the file; raises KeyError, TypeError or ValueError if a field is malformed, or the id or name missing."""
    target, version = _object(data, "shortcutDetails"), _number(data, "version")
    return DriveFile(
        id=_text(data, "id"),
        name=_clean(data["name"]) or "Untitled",
        mime_type=_text(data, "mimeType"),
        parents=tuple(_clean(parent) for parent in _list(data, "parents")) if "parents" in data else (),
        size=_number(data, "size"),
        md5=_text_or_none(data, "md5Checksum"),
        version="" if version is None else str(version),
        modified_time=_text_or_none(data, "modifiedTime") or "",
        trashed=_flag(data, "trashed", default=False),
        explicitly_trashed=_flag(data, "explicitlyTrashed", default=False),
        drive_id=_text_or_none(data, "driveId"),
        web_link=_text_or_none(data, "webViewLink"),
        shortcut_target=_target(target) if target else None,
        can_download=_flag(_object(data, "capabilities"), "canDownload", default=True),
        export_links={_clean(kind): _clean(link) for kind, link in _object(data, "exportLinks").items()},
        head_revision=_text_or_none(data, "headRevisionId"),
    )


def read_files_page(data: JsonObject) -> FilesPage:
    """Return the page; raises as :func:`read_file` does, and if the list is missing (Drive sends even an empty one)."""
    files = tuple(read_file(_checked(file, dict)) for file in _list(data, "files"))
    return FilesPage(files, _text_or_none(data, "nextPageToken"), _flag(data, "incompleteSearch", default=False))


def read_changes_page(data: JsonObject) -> ChangesPage:
    """Return the page; raises as :func:`read_files_page` does."""
    changes = [_read_change(_checked(change, dict)) for change in _list(data, "changes")]
    next_token, start_token = _text_or_none(data, "nextPageToken"), _text_or_none(data, "newStartPageToken")
    if next_token is None and start_token is None:
        raise ValueError("a page of changes without a next token")
    return ChangesPage(tuple(change for change in changes if change is not None), next_token, start_token)


def read_start_page_token(data: JsonObject) -> str:
    """Return the token; raises as :func:`read_file` does."""
    return _text(data, "startPageToken")


def _read_change(data: JsonObject) -> DriveChange | None:
    removed = _flag(data, "removed", default=False)
    if data.get("changeType") == "drive":
        return DriveChange(_text(data, "driveId"), True, None) if removed else None
    fields = _object(data, "file")
    file = None if removed or not fields else read_file(fields)
    # Drive reports a file that was just unshared as neither removed nor described.
    return DriveChange(_text(data, "fileId"), file is None, file)


def _target(data: JsonObject) -> ShortcutTarget:
    return ShortcutTarget(_text(data, "targetId"), _text_or_none(data, "targetMimeType") or "")


def _text(data: JsonObject, key: str) -> str:
    """Return a required text."""
    value = _clean(data[key])
    if not value:
        raise ValueError(f"{key} is empty")
    return value


def _text_or_none(data: JsonObject, key: str) -> str | None:
    """Return a text; None if it is missing or empty."""
    value = data.get(key)
    return None if value is None else _clean(value) or None


def _number(data: JsonObject, key: str) -> int | None:
    """Return a number, which Drive writes as text."""
    value = data.get(key)
    if value is None:
        return None
    number = int(_checked(value, str))
    if not 0 <= number <= _MAX_NUMBER:
        raise ValueError(f"{key} is out of range")
    return number


def _flag(data: JsonObject, key: str, *, default: bool) -> bool:
    return _checked(data.get(key, default), bool)


def _object(data: JsonObject, key: str) -> JsonObject:
    """Return an object; an empty one if it is missing."""
    return _checked(data.get(key, {}), dict)


def _list(data: JsonObject, key: str) -> list[Any]:
    """Return a required list."""
    return _checked(data[key], list)


def _clean(value: object) -> str:
    return _LONE_SURROGATE.sub("\ufffd", _checked(value, str))


def _checked(value: object, kind: type[_T]) -> _T:
    """Return the value; raises TypeError if it is of another type."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
    return value
