"""The model of a Drive as one account sees it, and the operations that change it.

All methods are safe under threads. Each change is recorded in the log in which Drive would record it.
"""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Callable, Iterable, Mapping

from tests.drive.change_log import ChangeLog
from tests.drive.content import Content, content_of
from tests.drive.documents import FOLDER, SHORTCUT, exports_of, mime_type_of
from tests.drive.items import Item, SharedDrive
from tests.drive.tree import ELSEWHERE, SHARED_WITH_ME, Behaviour, Tree

__all__ = ["ELSEWHERE", "SHARED_WITH_ME", "Behaviour", "Drive"]


class Drive(Tree):
    """My Drive, items shared with the account, and shared drives."""

    # What is added

    def add_folder(self, name: str, parent: str | None = None) -> str:
        """Add a folder; return its id."""
        return self._add(name, FOLDER, parent)

    def add_file(
        self,
        name: str,
        content: bytes | str | Content,
        parent: str | None = None,
        *,
        mime_type: str | None = None,
        can_download: bool = True,
        abusive: bool = False,
    ) -> str:
        """Add a file with content; return its id."""
        guessed = mime_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._add(name, guessed, parent, content=content_of(content), can_download=can_download, abusive=abusive)

    def add_doc(
        self,
        name: str,
        text: str,
        parent: str | None = None,
        *,
        kind: str = "document",
        exports: Mapping[str, bytes | str | Content] | None = None,
        can_download: bool = True,
    ) -> str:
        """Add one of Google's own documents; return its id."""
        given = {mime_type: content_of(content) for mime_type, content in (exports or {}).items()}
        made = {**exports_of(kind, text), **given}
        return self._add(name, mime_type_of(kind), parent, exports=made, can_download=can_download)

    def add_shortcut(self, name: str, target: str, parent: str | None = None) -> str:
        """Add a shortcut; return its id, which is not that of its target."""
        pointed = self.items.get(target)
        return self._add(name, SHORTCUT, parent, target=(target, pointed.mime_type if pointed else "text/plain"))

    def add_drive(self, name: str) -> str:
        """Add a shared drive, with the account as a member; return its id, which is that of its root folder."""
        with self.lock:
            drive_id = "0A" + next(self.ids)[1:18]
            self.drives[drive_id] = SharedDrive(drive_id, name)
            self.drive_feeds[drive_id] = ChangeLog(drive_id)
            # What a drive is called is known of the drive; its root folder has a name that never changes.
            self.items[drive_id] = Item(drive_id, "Drive", FOLDER, [], drive_id, mine=False, access=True)
            self._record_drive(drive_id)
            return drive_id

    def _add(
        self,
        name: str,
        mime_type: str,
        parent: str | None,
        *,
        content: Content | None = None,
        exports: dict[str, Content] | None = None,
        target: tuple[str, str] | None = None,
        can_download: bool = True,
        abusive: bool = False,
    ) -> str:
        with self.lock:
            item = Item(next(self.ids), name, mime_type, [], content=content, exports=exports or {}, target=target)
            item.can_download, item.abusive = can_download, abusive
            self._change([item], lambda: self.put(item, parent or self.root_id))
            return item.id

    # What happens

    def rename(self, item_id: str, name: str) -> None:
        """Rename an item."""
        self._edit(item_id, lambda item: setattr(item, "name", name))

    def set_content(self, item_id: str, content: bytes | str | Content) -> None:
        """Replace the content of a file: a new revision."""
        made = content_of(content)
        assert self.items[item_id].content is not None, "only files have content"
        self._edit(item_id, lambda item: _modify(item, content=made))

    def set_text(self, item_id: str, text: str) -> None:
        """Replace the text of a Doc."""
        kind = self.items[item_id].mime_type.rpartition(".")[2]
        self._edit(item_id, lambda item: _modify(item, exports=exports_of(kind, text)))

    def touch(self, item_id: str) -> None:
        """Change version and date, but not the content."""
        self._edit(item_id, _modify)

    def set_download(self, item_id: str, allowed: bool) -> None:
        """Allow or forbid the download."""
        self._edit(item_id, lambda item: setattr(item, "can_download", allowed))

    def retarget(self, item_id: str, target: str) -> None:
        """Change the target of a shortcut."""
        self._edit(item_id, lambda item: setattr(item, "target", (target, self.items[target].mime_type)))

    def move(self, item_id: str, parent: str) -> None:
        """Move an item to another folder, out of all its parents; also into or out of a shared drive."""
        with self.lock:
            item = self.items[item_id]
            below = self.descendants(item)
            assert parent not in {item.id, *(one.id for one in below)}, "a folder can't be moved into itself"
            changes_drive = self.drive_of(parent) != item.drive_id
            self._change([item, *(below if changes_drive else ())], lambda: self.put(item, parent), below)

    def add_parent(self, item_id: str, parent: str) -> None:
        """Add a parent, which was possible before 2020."""
        self._edit(item_id, lambda item: self.attach(item, parent))

    def remove_parent(self, item_id: str, parent: str) -> None:
        """Remove one of several parents."""
        self._edit(item_id, lambda item: self.detach(item, parent))

    def trash(self, item_id: str) -> None:
        """Trash an item and everything below it."""
        self._edit(item_id, lambda item: setattr(item, "trashed", True), descend=True)

    def untrash(self, item_id: str) -> None:
        """Restore an item from the trash."""
        self._edit(item_id, lambda item: setattr(item, "trashed", False), descend=True)

    def delete(self, item_id: str) -> None:
        """Delete an item permanently, with everything below it that has no other parent."""
        self._edit(item_id, self.remove, descend=True)

    def revoke(self, item_id: str) -> None:
        """Revoke the account's access to a file, a folder with its content, or a shared drive."""
        self._set_access(item_id, False)

    def grant(self, item_id: str) -> None:
        """Grant the account direct access."""
        self._set_access(item_id, True)

    def rename_drive(self, drive_id: str, name: str) -> None:
        """Rename a shared drive."""
        with self.lock:
            self.drives[drive_id].name = name
            self._record_drive(drive_id)

    # How it happens

    def _set_access(self, item_id: str, access: bool) -> None:
        self._edit(item_id, lambda item: setattr(item, "access", access), descend=True)
        if item_id in self.drives:
            self._record_drive(item_id)

    def _edit(self, item_id: str, action: Callable[[Item], object], descend: bool = False) -> None:
        with self.lock:
            item = self.items[item_id]
            self._change([item], lambda: action(item), self.descendants(item) if descend else ())

    def _change(self, own: Iterable[Item], action: Callable[[], object], below: Iterable[Item] = ()) -> None:
        """Run the block, and record it in the logs of everyone who could see the item before or can afterwards."""
        changed = list(own)
        if self.behaviour.entries_for_descendants:
            changed = list({item.id: item for item in [*changed, *below]}.values())
        before = [(item, self.feed_of(item)) for item in changed if item.id in self.items and self.can_see(item)]
        action()
        after = [(item, self.feed_of(item)) for item in changed if item.id in self.items and self.can_see(item)]
        for item in changed:
            item.version += 1
        for item_id, feed in dict.fromkeys((item.id, feed) for item, feed in [*before, *after]):
            feed.record(item_id)
            if feed is not self.user_feed and self.behaviour.user_feed_has_drives:
                self.user_feed.record(item_id)

    def _record_drive(self, drive_id: str) -> None:
        self.user_feed.record(f"drive {drive_id}")
        self.drive_feeds[drive_id].record(f"drive {drive_id}")


def _modify(item: Item, content: Content | None = None, exports: Mapping[str, Content] | None = None) -> None:
    item.content = content or item.content
    item.exports |= exports or {}
    item.modified = max(time.time(), item.modified + 0.001)
    item.revision += 1
