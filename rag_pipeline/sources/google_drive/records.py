"""What Drive tells of files and changes, as far as a pipeline uses it: typed, and asked for by name.

What is asked for and told in another type than Drive's is no answer of Drive's, and refused as a whole. Texts are such
as can be written down: JSON can hold half of a character, which UTF-8 can't.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

Json = Mapping[str, Any]
_T = TypeVar("_T")

FILE_FIELDS = (
    "id,name,mimeType,parents,size,md5Checksum,version,modifiedTime,trashed,explicitlyTrashed,driveId,webViewLink,"
    "shortcutDetails(targetId,targetMimeType),capabilities(canDownload),headRevisionId"
)
"""The fields of :class:`DriveFile` without ``exportLinks``, which is longer than all others together."""

_MAX_NUMBER = (1 << 63) - 1  # Drive's numbers are of 64 bits, as those in the mirror
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class ShortcutTarget(NamedTuple):
    """What a shortcut points to: the file's id, and the MIME type it had when the shortcut was made."""

    file_id: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class DriveFile:
    """A file, folder or shortcut in Drive.

    size: bytes of the content; for Google's own formats it says nothing about an export. None for folders.
    md5: of the content, in hex; None for Google's own formats.
    version: a number that rises with each change, also with those that leave the content as it is.
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


class DriveChange(NamedTuple):
    """A file that is another one than before; ``removed`` if it was deleted or can't be seen any more.

    ``file`` is None if it was removed. The loss of a whole shared drive comes as the removal of its root folder,
    whose id is the drive's.
    """

    file_id: str
    removed: bool
    file: DriveFile | None


class ChangesPage(NamedTuple):
    """A page of changes; the last has ``new_start_page_token``, to go on from later, and no ``next_page_token``."""

    changes: tuple[DriveChange, ...]
    next_page_token: str | None
    new_start_page_token: str | None


class FilesPage(NamedTuple):
    """A page of a listing; ``incomplete`` if Drive has not searched everywhere."""

    files: tuple[DriveFile, ...]
    next_page_token: str | None
    incomplete: bool


def read_file(data: Json) -> DriveFile:
    """Return the file; raises KeyError, TypeError or ValueError if something is malformed, or what names it missing."""
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


def read_files_page(data: Json) -> FilesPage:
    """Return the page; raises as :func:`read_file` does, also without the list, which Drive gives if empty too."""
    files = tuple(read_file(_checked(file, dict)) for file in _list(data, "files"))
    return FilesPage(files, _text_or_none(data, "nextPageToken"), _flag(data, "incompleteSearch", default=False))


def read_changes_page(data: Json) -> ChangesPage:
    """Return the page; raises as :func:`read_files_page` does."""
    changes = [_read_change(_checked(change, dict)) for change in _list(data, "changes")]
    following, start = _text_or_none(data, "nextPageToken"), _text_or_none(data, "newStartPageToken")
    if following is None and start is None:
        raise ValueError("a page of changes without a token to go on with")
    return ChangesPage(tuple(change for change in changes if change is not None), following, start)


def read_start_page_token(data: Json) -> str:
    """Return the token; raises as :func:`read_file` does."""
    return _text(data, "startPageToken")


def _read_change(data: Json) -> DriveChange | None:
    removed = _flag(data, "removed", default=False)
    if data.get("changeType") == "drive":
        return DriveChange(_text(data, "driveId"), True, None) if removed else None
    told = _object(data, "file")
    file = None if removed or not told else read_file(told)
    # A file that is neither removed nor described can't be seen: what Drive says of one that was just unshared.
    return DriveChange(_text(data, "fileId"), file is None, file)


def _target(data: Json) -> ShortcutTarget:
    return ShortcutTarget(_text(data, "targetId"), _text_or_none(data, "targetMimeType") or "")


def _text(data: Json, key: str) -> str:
    """Return a text that has to be there."""
    value = _clean(data[key])
    if not value:
        raise ValueError(f"{key} is empty")
    return value


def _text_or_none(data: Json, key: str) -> str | None:
    """Return a text; None if there is none, or an empty one, which says as much."""
    value = data.get(key)
    return None if value is None else _clean(value) or None


def _number(data: Json, key: str) -> int | None:
    """Return a number, which Drive writes as a text."""
    value = data.get(key)
    if value is None:
        return None
    number = int(_checked(value, str))
    if not 0 <= number <= _MAX_NUMBER:
        raise ValueError(f"{key} is out of range")
    return number


def _flag(data: Json, key: str, *, default: bool) -> bool:
    return _checked(data.get(key, default), bool)


def _object(data: Json, key: str) -> Json:
    """Return the object; an empty one if there is none."""
    return _checked(data.get(key, {}), dict)


def _list(data: Json, key: str) -> list[Any]:
    """Return a list that has to be there."""
    return _checked(data[key], list)


def _clean(value: object) -> str:
    return _HALF_CHARACTER.sub("\ufffd", _checked(value, str))


def _checked(value: object, kind: type[_T]) -> _T:
    """Return the value, which has to be of that type."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
    return value
