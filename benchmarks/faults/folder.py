"""A folder that people work in, and that goes wrong in every way a folder can."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.faults.common import LARGE_LINES
from benchmarks.faults.launcher import POISON
from benchmarks.faults.stored import stored
from benchmarks.faults.texts import Text
from benchmarks.faults.world import Card, World

FOLDERS = ("a", "b", "deep/c", "share", "moved")
MASS = "mass"
MASS_FILES = 40
FILES = 60
BIG_BYTES = (1 << 30) + 1
"""Over the limit of what is read of a file; it takes no room on the disk."""


class Folder:
    """The place; files are named by their path below the folder, as in the store."""

    kind = "local-files"

    def __init__(self, world: World, base: Path) -> None:
        self._world = world
        self._known = world.known
        self._root = base / "docs"
        self._aside = base / "aside"
        self._count = 0
        self._held_back: set[str] = set()  # keys that no edit may touch
        self._mass: list[str] = []
        for folder in (*FOLDERS, MASS):
            (self._root / folder).mkdir(parents=True)
        for _ in range(FILES):
            self.write_new()
        self._mass = [self._add(f"{MASS}/{number}.txt", world.texts.new()) for number in range(MASS_FILES)]
        self._held_back.update(self._mass)

    # What a place has to have

    def arguments(self) -> list[str]:
        return [self.kind, str(self._root), "--plain"]

    def env(self) -> dict[str, str]:
        return {"RAG_SETTLE_SECONDS": "0.3", "RAG_CHECK_INTERVAL": "1"}

    def edit(self) -> None:
        edits: list[tuple[int, Callable[[], object]]] = [
            (6, self.write_new),
            (6, lambda: self._change(self._some())),
            (4, lambda: self._rename(self._some())),
            (2, self._delete),
            (2, self._copy),
            (1, lambda: os.utime(self._path(self._some()))),
        ]
        weights, doing = zip(*edits, strict=True)
        self._world.chance.choices(doing, weights)[0]()

    def write_new(self, lines: int | None = None) -> str:
        return self._add(self._new_name(), self._world.texts.new(lines))

    def poison(self) -> str:
        key = self._add("poisoned.txt", self._world.texts.new())
        self._held_back.add(key)
        self._world.wait(lambda: self._known.is_seen(key), "the text that is to be kept")
        self._path(key).write_text(f"{POISON} {self._world.texts.new().mark}")
        return key

    def cards(self) -> Sequence[Card]:
        return [
            Card("EACCES on a file", self._forbid_file, 2),
            Card("EACCES on a folder", self._forbid_folder),
            Card("a subfolder shown empty for one look", self._blip, 2),
            Card("the folder not mounted", self._unmount),
            Card("mass deletion, confirmed", self._mass_confirmed),
            Card("mass deletion, and back", self._mass_back),
            Card("mass deletion, killed meanwhile, and back", lambda: self._mass_back(kill=True)),
            Card("a folder renamed", self._rename_folder, 2),
            Card("NFC and NFD", self._other_form, 2),
            Card("a file replaced by its copy (inode)", self._replace_by_copy, 2),
            Card("a text turns empty, and comes again", self._empty_and_back, 2),
            Card("files that are no text", self._no_texts),
            Card("a slow writer", self._write_slowly, 2),
            Card("a file larger than a batch", self._large, 2),
            Card("one content under two new names at once", self._twins, 3),
        ]

    def calm(self) -> None:
        for path in (self._root, *self._root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    # What people do

    def _some(self) -> str:
        return self._world.some_settled(self._held_back)

    def _path(self, key: str) -> Path:
        return self._root / self._known.name(key)

    def _new_name(self) -> str:
        self._count += 1
        return f"{self._world.chance.choice(FOLDERS)}/file {self._count}.txt"

    def _add(self, name: str, text: Text) -> str:
        key = self._known.come(name, text)
        (self._root / name).write_text(text.body)
        return key

    def _change(self, key: str, *, by_renaming: bool | None = None) -> None:
        text, path = self._world.texts.new(), self._path(key)
        self._known.write(key, text)
        if by_renaming if by_renaming is not None else self._world.chance.random() < 0.5:
            beside = path.with_name(".beside.tmp")
            beside.write_text(text.body)
            beside.replace(path)
        else:
            path.write_text(text.body)

    def _rename(self, key: str) -> None:
        old, name = self._path(key), self._new_name()
        self._known.rename(key, name)
        old.rename(self._root / name)

    def _delete(self) -> None:
        key = self._some()
        self._known.go([key])
        self._path(key).unlink()

    def _copy(self) -> None:
        of = self._some()
        self._add(self._new_name(), self._known.text(of))

    # What goes wrong

    def _forbid_file(self) -> None:
        key = self._some()
        self._held_back.add(key)
        path = self._path(key)
        path.chmod(0)
        self._world.pause(0.5, 1.5)
        path.chmod(0o644)
        self._change(key, by_renaming=False)
        path.chmod(0)
        self._world.pause(1.5, 2.5)
        path.chmod(0o644)
        self._held_back.discard(key)

    def _forbid_folder(self) -> None:
        name = self._world.chance.choice(FOLDERS)
        inside = [key for key in self._known.good() if self._known.name(key).startswith(f"{name}/")]
        # What has just been moved into a folder that can't be listed is gone from where it was, and nowhere else.
        moved = [key for key in inside if not self._known.is_settled(key)]
        self._known.go(moved)
        (self._root / name).chmod(0)
        self._world.pause(1.5, 2.5)
        for key in moved:
            self._world.come_back(key)
        (self._root / name).chmod(0o755)

    def _blip(self) -> None:
        share = self._root / "share"
        share.rename(self._aside)
        share.mkdir()
        self._world.pause(0.1, 0.25)
        share.rmdir()
        self._aside.rename(share)
        self._world.pause(0.5, 1.5)

    def _unmount(self) -> None:
        self._root.rename(self._aside)
        self._root.mkdir()
        self._world.pause(2.0, 3.0)
        self._root.rmdir()
        self._aside.rename(self._root)

    def _take_mass_away(self) -> None:
        self._world.lose(self._mass, lambda: (self._root / MASS).rename(self._aside))

    def _mass_confirmed(self) -> None:
        world = self._world
        self._take_mass_away()
        self._known.go(self._mass)
        world.wait(lambda: world.life.control("confirm"), "a confirmation")
        world.wait_released()
        world.wait(lambda: not self._shown(MASS), "the deletions")
        for key in self._mass:
            self._world.come_back(key)
        self._aside.rename(self._root / MASS)

    def _mass_back(self, *, kill: bool = False) -> None:
        world = self._world
        self._take_mass_away()
        if kill:
            world.life.kill()
            world.life.start()
            world.wait_held(MASS_FILES)
        self._aside.rename(self._root / MASS)
        world.wait_released()

    def _rename_folder(self) -> None:
        self._count += 1
        for old, new in (("moved", f"moved {self._count}"), (f"moved {self._count}", "moved")):
            for key in self._known.good():
                folder, _, name = self._known.name(key).rpartition("/")
                if folder != old:
                    continue
                if self._known.is_settled(key):
                    self._known.rename(key, f"{new}/{name}")
                else:
                    self._world.come_back(key, f"{new}/{name}")
            (self._root / old).rename(self._root / new)
            self._world.pause(1.0, 2.5)

    def _other_form(self) -> None:
        key = self._add(f"b/café naïve {self._count}.txt", self._world.texts.new())
        self._count += 1
        self._held_back.add(key)
        self._world.pause(0.5, 2.0)
        for form in ("NFD", "NFC", "NFD")[: self._world.chance.randint(1, 3)]:
            name = unicodedata.normalize(form, self._known.name(key))  # type: ignore[arg-type]
            old = self._path(key)
            self._known.rename(key, name)
            old.rename(self._root / name)
            self._world.pause(0.3, 1.0)
        self._held_back.discard(key)

    def _replace_by_copy(self) -> None:
        for _ in range(5):
            path = self._path(self._some())
            beside = path.with_name(".copy.tmp")
            shutil.copy2(path, beside)
            beside.replace(path)

    def _empty_and_back(self) -> None:
        key = self._some()
        self._known.go([key])
        self._path(key).write_text("")
        self._world.pause(0.2, 2.0)
        text = self._known.come_back(key, self._world.texts.new())
        self._path(key).write_text(text.body)

    def _no_texts(self) -> None:
        self._count += 1
        (self._root / f"a/broken {self._count}.pdf").write_bytes(b"%PDF-1.7\nthis is no PDF")
        (self._root / f"a/picture {self._count}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
        (self._root / f"a/empty {self._count}.txt").write_bytes(b" \n")
        with (self._root / f"a/too large {self._count}.txt").open("wb") as file:
            file.truncate(BIG_BYTES)

    def _write_slowly(self) -> None:
        text = self._world.texts.new(self._world.chance.randint(4, 7))
        lines = text.body.splitlines(keepends=True)
        name = self._new_name()
        key = self._known.come(name, Text(text.mark, lines[0]))
        self._held_back.add(key)
        with (self._root / name).open("w") as file:
            for number, line in enumerate(lines, 1):
                if number > 1:
                    self._known.write(key, Text(text.mark, "".join(lines[:number])))
                file.write(line)
                file.flush()
                self._world.pause(0.05, 0.8)
        self._held_back.discard(key)

    def _large(self) -> None:
        key = self.write_new(LARGE_LINES)
        self._world.pause(1.0, 3.0)
        if self._world.chance.random() < 0.5:
            self._rename(key)

    def _twins(self) -> None:
        text = self._world.texts.new()
        names = [self._new_name(), self._new_name()]
        for name in names:
            self._add(name, text)

    def _shown(self, folder: str) -> bool:
        return any(name.startswith(f"{folder}/") for name in stored(self._world.state))
