"""The tree of a Drive: parents, children and visibility. The caller holds ``lock``."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tests.drive.change_log import ChangeLog
from tests.drive.documents import FOLDER
from tests.drive.items import Item, SharedDrive, ids

SHARED_WITH_ME = "shared with me"
"""The parent of another person's file that is shared with the account directly: its real folder is invisible."""
ELSEWHERE = "elsewhere"
"""The parent of someone else's file that is not shared."""


@dataclass
class Behaviour:
    """Optional behaviour of Drive; see the package's docstring."""

    entries_for_descendants: bool = False
    user_feed_has_drives: bool = False
    short_pages: bool = False
    or_queries_miss: bool = False
    or_queries_miss_share: float = 0.0
    unlisted: set[str] = field(default_factory=set)
    missing_parent_is_404: bool = True
    gone_status: int = 410
    gzip_media: bool = False
    ignore_ranges: bool = False
    redirect_exports: bool = False
    export_limit_bytes: int = 10 << 20
    incomplete_searches: int = 0


class Tree:
    """Items by id, their folders, the shared drives, and the logs of changes."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.lock = threading.RLock()
        self.behaviour = behaviour
        self.items: dict[str, Item] = {}
        self.drives: dict[str, SharedDrive] = {}
        self.user_feed = ChangeLog("user")
        self.drive_feeds: dict[str, ChangeLog] = {}
        self._children: dict[str, dict[str, None]] = {}
        self.ids = ids()
        self.root_id = "0A" + next(self.ids)[1:18]
        self.items[self.root_id] = Item(self.root_id, "My Drive", FOLDER, [], access=True)

    def item(self, item_id: str) -> Item:
        """Return the item with this id."""
        return self.items[item_id]

    def children(self, folder_id: str) -> list[Item]:
        """Return the items in a folder, trashed or invisible ones included."""
        return [self.items[child] for child in self._children.get(folder_id, ())]

    def can_see(self, item: Item | None) -> bool:
        """Whether the account has access, directly or through an ancestor."""
        if item is None:
            return False
        if item.access is not None:
            return item.access
        return any(self.can_see(self.items.get(parent)) for parent in item.parents)

    def is_trashed(self, item: Item) -> bool:
        """Whether it is trashed, by itself or because all its parents are."""
        above = [self.items[parent] for parent in item.parents if parent in self.items]
        return item.trashed or bool(above and all(self.is_trashed(folder) for folder in above))

    def feed_of(self, item: Item) -> ChangeLog:
        """Return the log of an item's changes: its drive's for a member, else the user's."""
        if item.drive_id and self.can_see(self.items.get(item.drive_id)):
            return self.drive_feeds[item.drive_id]
        return self.user_feed

    def below(self, folder_id: str) -> set[str]:
        """Return the ids of all visible, untrashed files below a folder, with shortcuts followed."""
        with self.lock:
            found: set[str] = set()
            seen: set[str] = set()
            self._collect(self.items.get(folder_id), found, seen)
            return found

    def _collect(self, item: Item | None, found: set[str], seen: set[str]) -> None:
        if item is None or item.id in seen or not self.can_see(item) or self.is_trashed(item):
            return
        seen.add(item.id)
        if item.is_folder:
            for child in self.children(item.id):
                self._collect(child, found, seen)
        elif item.target:
            self._collect(self.items.get(item.target[0]), found, seen)
        else:
            found.add(item.id)

    def descendants(self, item: Item) -> list[Item]:
        """Return all descendants, each once."""
        found: dict[str, Item] = {}
        waiting = self.children(item.id)
        while waiting:
            child = waiting.pop()
            if child.id not in found:
                found[child.id] = child
                waiting += self.children(child.id)
        return list(found.values())

    def put(self, item: Item, parent: str) -> None:
        """Move an item to this folder only, with everything below it."""
        self.items[item.id] = item
        for old in list(item.parents):
            self.detach(item, old)
        item.mine = parent not in (SHARED_WITH_ME, ELSEWHERE)
        item.access = True if parent == SHARED_WITH_ME else None
        if item.mine:
            self.attach(item, parent)
        drive_id = self.drive_of(parent)
        for one in [item, *self.descendants(item)]:
            one.drive_id = drive_id
            one.mine = item.mine and drive_id is None

    def drive_of(self, parent: str) -> str | None:
        """Return the shared drive of a folder, if any."""
        return None if parent in (SHARED_WITH_ME, ELSEWHERE) else self.items[parent].drive_id

    def attach(self, item: Item, parent: str) -> None:
        """Add a parent."""
        assert self.items[parent].is_folder, "only folders have children"
        item.parents.append(parent)
        self._children.setdefault(parent, {})[item.id] = None

    def detach(self, item: Item, parent: str) -> None:
        """Remove a parent."""
        item.parents.remove(parent)
        del self._children[parent][item.id]

    def remove(self, item: Item) -> None:
        """Remove an item, with everything below it that has no other parent."""
        for child in self.children(item.id):
            self.detach(child, item.id)
            if not child.parents:
                self.remove(child)
        for parent in list(item.parents):
            self.detach(item, parent)
        del self.items[item.id]
