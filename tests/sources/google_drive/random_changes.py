"""Random changes in a Drive, for tests that compare the store with the Drive at the end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from tests.drive import DriveServer
from tests.drive.content import Content, whole
from tests.drive.items import Item

FOLDER_SHARE = 20


class RandomChanges:
    """A folder with files in nested folders, and random changes in it, determined by the seed."""

    def __init__(self, server: DriveServer, files: int, seed: int) -> None:
        self.server = server
        self.drive = server.drive
        self.random = random.Random(seed)
        self.top = self.drive.add_folder("top")
        self._outside = self.drive.add_folder("outside")
        self._folders = [self.top, *([self._outside] if files >= FOLDER_SHARE else [])]
        self._files: list[str] = []
        self._docs: list[str] = []
        self._away: list[str] = []
        self._number = 0
        self._known: dict[str, str | int] = {}
        self.renewed: list[tuple[int, str]] = []
        for _ in range(max(1, files // FOLDER_SHARE)):
            self._folders.append(self.drive.add_folder(self._name(), self._inner_folder()))
        for _ in range(files):
            self._add(self._inner_folder())

    def change(self) -> None:
        """Make one random change."""
        actions: list[tuple[int, Callable[[], None]]] = [
            (20, lambda: self._add(self.random.choice(self._folders))),
            (20, self._write),
            (10, self._rename),
            (12, self._move_file),
            (2, self._move_folder),
            (5, lambda: self._folders.append(self.drive.add_folder(self._name(), self.random.choice(self._folders)))),
            (9, self._trash),
            (9, self._untrash),
            (8, self._delete),
            (4, lambda: self.drive.touch(self._some())),
            (3, self._shortcut),
            (4, lambda: self.drive.set_download(self._some(), self.random.random() < 0.5)),
        ]
        weights, doing = zip(*actions, strict=True)
        self.random.choices(doing, weights)[0]()

    def hide(self) -> None:
        """Leave some existing items out of all listings, and expire the page tokens, so that a full pass begins."""
        with self.drive.lock:
            there = [*self._folders[2:], *self._files, *self._docs]
            self.server.behaviour.unlisted = set(self.random.sample(there, len(there) // 10))
        self.server.expire_change_tokens()

    def show(self) -> None:
        """List everything again, and expire the page tokens: new items may have been hidden too."""
        self.server.behaviour.unlisted = set()
        self.server.expire_change_tokens()

    def expected(self) -> dict[str, tuple[str, list[str]]]:
        """Return name and lines of each file that should be in the store, by id."""
        with self.drive.lock:
            return {item.id: (item.name, whole(text).decode().splitlines()) for item, text in self._readable()}

    def take_stock(self) -> None:
        """Record in ``renewed`` which files are new, changed or gone, and after how many requests.

        Each version of a Doc counts as a new content, because Drive reports nothing else.
        """
        with self.drive.lock:
            now = {item.id: item.md5 or item.version for item, _ in self._readable()}
        keys = {key for key in now.keys() | self._known.keys() if now.get(key) != self._known.get(key)}
        self.renewed += [(len(self.server.requests), key) for key in sorted(keys)]
        self._known = now

    def _readable(self) -> Iterator[tuple[Item, Content]]:
        for key in self.drive.below(self.top):
            item = self.drive.item(key)
            if item.can_download and not item.name.endswith(".png"):
                yield item, item.content or item.exports["text/markdown"]

    def _name(self) -> str:
        self._number += 1
        return f"thing {self._number}"

    def _text(self) -> str:
        return "\n".join(f"{self.random.getrandbits(64):016x}" for _ in range(self.random.randint(1, 20)))

    def _inner_folder(self) -> str:
        inner = [folder for folder in self._folders if folder != self._outside]
        return self.random.choice(inner)

    def _some(self) -> str:
        return self.random.choice([*self._files, *self._docs])

    def _add(self, parent: str) -> None:
        kind = self.random.random()
        if kind < 0.15:
            self._docs.append(self.drive.add_doc(self._name(), self._text(), parent))
        else:
            ending = ".png" if kind < 0.2 else ".txt"
            self._files.append(self.drive.add_file(self._name() + ending, self._text(), parent))

    def _write(self) -> None:
        key = self._some()
        if key in self._docs:
            self.drive.set_text(key, self._text())
        else:
            self.drive.set_content(key, self._text())

    def _rename(self) -> None:
        key = self._some()
        self.drive.rename(key, self._name() + self.drive.item(key).name[-4:] * (key in self._files))

    def _move_file(self) -> None:
        self.drive.move(self._some(), self.random.choice(self._folders))

    def _move_folder(self) -> None:
        movable = [folder for folder in self._folders if folder not in (self.top, self._outside)]
        if movable:
            folder, parent = self.random.choice(movable), self.random.choice(self._folders)
            if not self._is_below(parent, folder):
                self.drive.move(folder, parent)

    def _trash(self) -> None:
        movable = [folder for folder in self._folders if folder not in (self.top, self._outside)]
        some = self.random.choice(movable) if movable and self.random.random() < 0.5 else self._some()
        self.drive.trash(some)
        self._away.append(some)

    def _untrash(self) -> None:
        if self._away:
            self.drive.untrash(self._away.pop(self.random.randrange(len(self._away))))

    def _delete(self) -> None:
        kind = self._docs if self.random.random() < 0.15 and len(self._docs) > 1 else self._files
        if len(kind) > 1:
            gone = kind.pop(self.random.randrange(len(kind)))
            self._away = [key for key in self._away if key != gone]
            self.drive.delete(gone)

    def _shortcut(self) -> None:
        self.drive.add_shortcut(self._name(), self._some(), self.random.choice(self._folders))

    def _is_below(self, key: str, above: str) -> bool:
        return key == above or any(self._is_below(parent, above) for parent in self.drive.item(key).parents)
