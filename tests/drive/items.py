"""The records of the model: files, folders, Docs, shortcuts, and shared drives."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.drive.content import Content, whole
from tests.drive.documents import FOLDER, GOOGLE, SHORTCUT


@dataclass
class Item:
    """An item in Drive. ``access`` is a direct permission; None inherits from the parents."""

    id: str
    name: str
    mime_type: str
    parents: list[str]
    drive_id: str | None = None
    mine: bool = True
    access: bool | None = None
    content: Content | None = None
    exports: dict[str, Content] = field(default_factory=dict)
    target: tuple[str, str] | None = None
    """The id and MIME type of a shortcut's target."""
    can_download: bool = True
    abusive: bool = False
    trashed: bool = False
    """Whether it was trashed by itself; everything below a trashed folder is trashed too."""
    version: int = 1
    revision: int = 1
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.mime_type == FOLDER

    @property
    def is_shortcut(self) -> bool:
        """Whether it is a shortcut."""
        return self.mime_type == SHORTCUT

    @property
    def is_google(self) -> bool:
        """Whether it has one of Google's own types, without downloadable content."""
        return self.mime_type.startswith(GOOGLE)

    @property
    def size(self) -> int | None:
        """Size of the content in bytes; None without content."""
        return self.content.size if self.content else None

    @property
    def md5(self) -> str | None:
        """MD5 of the content; None without content."""
        return self.content.md5 if self.content else None

    def content_bytes(self, start: int = 0, end: int | None = None) -> bytes:
        """Return the content, or a range of it."""
        assert self.content is not None, f"{self.name} has no content"
        if start == 0 and end is None:
            return whole(self.content)
        return b"".join(self.content.read(start, self.content.size if end is None else end))


@dataclass
class SharedDrive:
    """A shared drive; its id is that of its root folder."""

    id: str
    name: str
    created: float = field(default_factory=time.time)


def ids() -> Iterator[str]:
    """Yield ids like Drive's, the same in each run."""
    for number in itertools.count():
        digest = hashlib.sha256(str(number).encode()).digest()
        yield "1" + base64.urlsafe_b64encode(digest).decode()[:32]
