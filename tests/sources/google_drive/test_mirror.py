from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rag_pipeline.errors import StateError
from rag_pipeline.sources.google_drive.export_formats import FOLDER, SHORTCUT
from rag_pipeline.sources.google_drive.mirror import NEVER_RECHECK, Mirror, MirrorPosition
from rag_pipeline.sources.google_drive.records import DriveChange, DriveFile, ShortcutTarget

TEXT = "text/plain"
NOW = 5000.0


def folder(key: str, *parents: str, version: int = 1, trashed: bool = False) -> DriveFile:
    return DriveFile(key, key, FOLDER, parents, version=str(version), trashed=trashed, explicitly_trashed=trashed)


def file(key: str, *parents: str, version: int = 1, trashed: bool = False, name: str | None = None) -> DriveFile:
    return DriveFile(
        key, name or key, TEXT, parents, md5=f"md5 of {key}",
        version=str(version), trashed=trashed, explicitly_trashed=trashed,
    )  # fmt: skip


def shortcut(key: str, target: str, *parents: str, version: int = 1) -> DriveFile:
    return DriveFile(key, key, SHORTCUT, parents, version=str(version), shortcut_target=ShortcutTarget(target, TEXT))


def changed(*files: DriveFile) -> list[DriveChange]:
    return [DriveChange(one.id, False, one) for one in files]


def removed(key: str) -> DriveChange:
    return DriveChange(key, True, None)


def known(mirror: Mirror) -> set[str]:
    return {one.id for one, _ in mirror.files()}


@contextmanager
def mirrored(path: Path, *files: DriveFile) -> Iterator[Mirror]:
    """Open a mirror of the folder ``top`` with these files."""
    with Mirror(path / "mirror.sqlite3") as mirror:
        mirror.begin(folder("top"), (), "me", "1")
        mirror.put(files, listed=["top", *(one.id for one in files if one.mime_type == FOLDER)])
        mirror.prune()
        yield mirror


def test_all_fields_are_there_after_a_restart(tmp_path: Path) -> None:
    full = DriveFile(
        "a", "Plan für 2027 📎", TEXT, ("top",), 12, "0cc1", "77", "2026-01-02T03:04:05.678Z", False, False, "drive",
        "https://x", None, False, {}, "head",
    )  # fmt: skip
    with mirrored(tmp_path, full, shortcut("s", "a", "top")) as mirror:
        assert mirror.position == MirrorPosition("top", None, "me", "1", False)
        mirror.apply((), "2")
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        assert mirror.position == MirrorPosition("top", None, "me", "2", False)
        # Its parents are stored as edges only.
        assert mirror.file("a") == replace(full, parents=())
        assert [one for one, _ in mirror.files()] == [replace(full, parents=())]
        assert mirror.unlisted(10) == []
        [found] = mirror.shortcuts()
        assert (found.file.id, found.target, found.reason, found.in_folders) == ("s", mirror.file("a"), None, True)


def test_a_page_of_changes_and_its_token_are_applied_together_or_not_at_all(tmp_path: Path) -> None:
    with mirrored(tmp_path) as mirror:
        unkept = replace(file("b", "top"), name=object())  # type: ignore[arg-type]
        with pytest.raises(StateError):
            mirror.apply(changed(file("a", "top"), unkept), "2")
        assert known(mirror) == set()
        assert mirror.position is not None
        assert mirror.position.token == "1"
        mirror.apply(changed(file("a", "top")), "2")
        assert (known(mirror), mirror.position.token) == ({"a"}, "2")


def test_changes_outside_the_tree_are_ignored(tmp_path: Path) -> None:
    with mirrored(tmp_path, file("a", "top")) as mirror:
        before = mirror.revision
        mirror.apply([*changed(file("x", "elsewhere"), folder("y", "elsewhere")), removed("z")], "2")
        assert mirror.revision == before
        assert known(mirror) == {"a"}


def test_a_folder_moved_in_has_to_be_listed_and_one_moved_out_takes_its_content_along(tmp_path: Path) -> None:
    with mirrored(tmp_path, folder("sub", "top"), file("a", "sub"), folder("deep", "sub"), file("b", "deep")) as mirror:
        mirror.apply(changed(folder("sub", "elsewhere", version=2)), "2")
        mirror.prune()
        assert (known(mirror), mirror.file("b")) == (set(), None)
        mirror.apply(changed(folder("sub", "top", version=3)), "3")
        assert mirror.unlisted(10) == ["sub"]
        mirror.put([file("a", "sub"), folder("deep", "sub")], listed=["sub"])
        assert mirror.unlisted(10) == ["deep"]
        mirror.put([file("b", "deep")], listed=["deep"])
        assert (known(mirror), mirror.unlisted(10)) == ({"a", "b"}, [])


def test_a_trashed_folder_hides_its_content(tmp_path: Path) -> None:
    with mirrored(tmp_path, folder("sub", "top"), file("a", "sub"), file("b", "sub", "top")) as mirror:
        mirror.apply(changed(folder("sub", "top", version=2, trashed=True)), "2")
        mirror.prune()
        # b also lies in a second folder.
        assert known(mirror) == {"b"}
        mirror.apply(changed(folder("sub", "top", version=3)), "3")
        assert mirror.unlisted(10) == ["sub"]


def test_the_content_of_a_restored_folder_is_correct(tmp_path: Path) -> None:
    def with_its_folder(one: DriveFile) -> DriveFile:
        return replace(one, trashed=True, version="2")

    with mirrored(tmp_path, folder("sub", "top"), folder("deep", "sub")) as mirror:
        told = with_its_folder(folder("deep", "sub")), with_its_folder(file("a", "deep"))
        mirror.apply(changed(folder("sub", "top", version=2, trashed=True), *told), "2")
        assert known(mirror) == set()
        # Drive reports no changes of its content when it is restored, even between two pages.
        mirror.apply(changed(folder("sub", "top", version=3)), "3")
        assert (known(mirror), mirror.unlisted(10)) == ({"a"}, [])
        mirror.apply(changed(folder("new", "top", version=1)), "4")
        mirror.put([with_its_folder(file("b", "new"))], listed=["new"])
        assert known(mirror) == {"a", "b"}


def test_a_file_with_several_parents_counts_once_until_the_last_parent_is_gone(tmp_path: Path) -> None:
    with mirrored(tmp_path, folder("one", "top"), folder("two", "top"), file("a", "one", "two")) as mirror:
        assert [one.id for one, _ in mirror.files()] == ["a"]
        mirror.apply([removed("one")], "2")
        assert known(mirror) == {"a"}
        mirror.apply(changed(file("a", "elsewhere", version=2)), "3")
        assert known(mirror) == set()


def test_a_loop_of_folders_is_harmless(tmp_path: Path) -> None:
    files = folder("one", "top", "two"), folder("two", "one"), file("a", "two"), shortcut("s", "one", "two")
    with mirrored(tmp_path, *files) as mirror:
        assert (known(mirror), mirror.unlisted(10), mirror.unresolved(0, NOW)) == ({"a"}, [], [])
        mirror.apply(changed(folder("one", "two", version=2)), "2")
        mirror.prune()
        # Only the loop itself leads there now.
        assert (known(mirror), mirror.file("two")) == (set(), None)


def test_a_listing_older_than_the_changes_reverts_nothing(tmp_path: Path) -> None:
    with mirrored(tmp_path, file("a", "top", version=5, name="new name")) as mirror:
        mirror.put([file("a", "elsewhere", version=4, name="old name")])
        assert [one.name for one, _ in mirror.files()] == ["new name"]
        mirror.put([file("a", "top", version=6, name="newest name")])
        assert [one.name for one, _ in mirror.files()] == ["newest name"]


def test_files_that_a_new_pass_does_not_see_are_gone_at_its_end_and_not_before(tmp_path: Path) -> None:
    files = folder("sub", "top"), file("a", "sub"), file("b", "sub")
    with mirrored(tmp_path, *files) as mirror:
        mirror.begin(folder("top"), (), "me", "9")
        assert (mirror.unlisted(10), mirror.file("b")) == (["top"], file("b"))
    # The pass was interrupted, and continues.
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        mirror.put([folder("sub", "top")], listed=["top"])
        assert mirror.unlisted(10) == ["sub"]
        mirror.put([file("a", "sub")], listed=["sub"])
        mirror.prune()
        assert (known(mirror), mirror.file("b")) == ({"a"}, None)
        assert mirror.position == MirrorPosition("top", None, "me", "9", False)


def test_a_change_of_the_watched_folder_or_an_ancestor_requires_a_new_pass(tmp_path: Path) -> None:
    for key in ("top", "above"):
        with Mirror(tmp_path / f"{key}.sqlite3") as mirror:
            mirror.begin(folder("top"), ["above"], "me", "1")
            mirror.apply(changed(file("a", "top")), "2")
            assert mirror.position == MirrorPosition("top", None, "me", "2", False)
            mirror.apply([removed(key)], "3")
            # The folder may come back, so its known content stays.
            assert mirror.position == MirrorPosition("top", None, "me", "3", True)
            assert known(mirror) == {"a"}
            mirror.begin(folder("top"), [], "me", "4")
            assert mirror.position == MirrorPosition("top", None, "me", "4", False)
            assert not mirror.is_ancestor("above")


def test_shortcut_targets_are_looked_up_once_or_again_after_some_time(tmp_path: Path) -> None:
    files = shortcut("s1", "far", "top"), shortcut("s2", "lost", "top"), shortcut("s3", "near", "top")
    with mirrored(tmp_path, *files, file("near", "top")) as mirror:
        assert mirror.unresolved(0, NOW) == ["far", "lost"]
        mirror.set_target("far", file("far"), None, 1000.0)
        mirror.set_target("lost", None, "a shortcut to nothing", 1000.0)
        assert (mirror.unresolved(1000.0, NOW), mirror.unresolved(1001.0, NOW)) == ([], ["far", "lost"])
        # The clock was ahead then, or is slow now.
        assert mirror.unresolved(900.0, 999.0) == ["far", "lost"]
        mirror.prune()
        assert known(mirror) == {"far", "near"}
        told = {one.file.id: (one.target and one.target.id, one.reason, one.in_folders) for one in mirror.shortcuts()}
        assert told == {
            "s1": ("far", None, False),
            "s2": (None, "a shortcut to nothing", False),
            "s3": ("near", None, True),
        }
        # It is suddenly visible, so it has to be looked up again.
        mirror.apply(changed(file("lost", "elsewhere")), "2")
        assert mirror.unresolved(1, NOW) == ["lost"]
        mirror.apply([removed("s1"), removed("s2")], "3")
        mirror.prune()
        assert (known(mirror), mirror.unresolved(2000.0, NOW)) == ({"near"}, [])


def test_the_old_target_of_a_changed_shortcut_is_not_reachable(tmp_path: Path) -> None:
    with mirrored(tmp_path, shortcut("s", "one", "top")) as mirror:
        mirror.set_target("one", file("one", "elsewhere"), None, NEVER_RECHECK)
        assert known(mirror) == {"one"}
        mirror.apply(changed(shortcut("s", "two", "top", version=2)), "2")
        mirror.prune()
        assert (known(mirror), mirror.unresolved(0, NOW)) == (set(), ["two"])


def test_a_refused_file_is_retried_from_its_next_version(tmp_path: Path) -> None:
    def retried() -> list[int]:
        found = [version for _, version in mirror.files()]
        assert found == [mirror.retry_version("a")]
        return found

    with mirrored(tmp_path, file("a", "top", version=7)) as mirror:
        mirror.mark_refused("a")
        mirror.put([file("a", "top", version=7)])
        assert retried() == [0]
        mirror.apply(changed(file("a", "top", version=9)), "2")
        assert retried() == [9]
        # The retry version stays the same, whatever follows.
        mirror.apply(changed(file("a", "top", version=12)), "3")
        assert retried() == [9]
        assert mirror.retry_version("unknown") == 0


def test_an_unusable_file_is_a_one_line_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "mirror.sqlite3"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StateError) as damaged:
        Mirror(path)
    assert str(damaged.value) == (
        f"{path} is damaged (file is not a database): remove it, Drive is listed again, and no stored file is "
        "processed again"
    )
    path.unlink()
    Mirror(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StateError, match=r"newer version of rag-pipeline \(format 99, this one knows 2\)"):
        Mirror(path)
    with pytest.raises(StateError, match="can't be used"):
        Mirror(tmp_path / "no such folder" / "mirror.sqlite3")


@dataclass
class Thing:
    """A folder, file or shortcut of the model."""

    kind: str
    parents: set[str]
    target: str | None = None
    trashed: bool = False
    version: int = 1


@dataclass
class Model:
    """A minimal model of a Drive, with a log of changed ids."""

    things: dict[str, Thing] = field(default_factory=lambda: {"top": Thing(FOLDER, set()), "out": Thing(FOLDER, set())})
    log: list[str] = field(default_factory=list)

    def touch(self, key: str) -> None:
        self.things[key].version += 1
        self.log.append(key)

    def describe(self, key: str) -> DriveFile:
        thing = self.things[key]
        target = None if thing.target is None else ShortcutTarget(thing.target, TEXT)
        return DriveFile(
            key, key, thing.kind, tuple(sorted(thing.parents)), version=str(thing.version), trashed=thing.trashed,
            explicitly_trashed=thing.trashed, shortcut_target=target,
        )  # fmt: skip

    def changes(self) -> list[DriveChange]:
        keys = list(dict.fromkeys(self.log))
        self.log.clear()
        return [
            DriveChange(key, False, self.describe(key)) if key in self.things else DriveChange(key, True, None)
            for key in keys
        ]

    def children(self, key: str) -> list[DriveFile]:
        return [self.describe(one) for one, thing in self.things.items() if key in thing.parents and not thing.trashed]

    def files(self) -> set[str]:
        seen: set[str] = set()
        waiting = ["top"]
        while waiting:
            key = waiting.pop()
            thing = self.things.get(key)
            if thing is None or key in seen or thing.trashed:
                continue
            seen.add(key)
            waiting += [one for one, other in self.things.items() if key in other.parents]
            if thing.target is not None:
                waiting.append(thing.target)
        return {key for key in seen if self.things[key].kind == TEXT}


class MirrorMachine(RuleBasedStateMachine):
    """After any sequence of events, the mirror holds exactly what is below the folder."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.mirror = Mirror(self.folder / "mirror.sqlite3")
        self.number = 0
        self.token = 0

    def teardown(self) -> None:
        self.mirror.close()
        shutil.rmtree(self.folder)

    @initialize()
    def start(self) -> None:
        self.mirror.begin(self.model.describe("top"), (), "me", "0")

    def some(self, pick: int, *kinds: str) -> str | None:
        found = [key for key, thing in self.model.things.items() if not kinds or thing.kind in kinds]
        return found[pick % len(found)] if found else None

    @rule(pick=st.integers(0, 99), kind=st.sampled_from([FOLDER, TEXT, TEXT]))
    def add(self, pick: int, kind: str) -> None:
        parent = self.some(pick, FOLDER)
        assert parent is not None
        self.number += 1
        self.model.things[key := f"n{self.number}"] = Thing(kind, {parent})
        self.model.touch(key)

    @rule(pick=st.integers(0, 99), to=st.integers(0, 99))
    def add_shortcut(self, pick: int, to: int) -> None:
        parent, target = self.some(pick, FOLDER), self.some(to, FOLDER, TEXT)
        assert parent is not None
        # A shortcut to an ancestor is not followed; shortcuts.py decides that.
        if target in (None, "out", "top"):
            return
        self.number += 1
        self.model.things[key := f"n{self.number}"] = Thing(SHORTCUT, {parent}, target)
        self.model.touch(key)

    @rule(pick=st.integers(0, 99), to=st.integers(0, 99), both=st.booleans())
    def move(self, pick: int, to: int, both: bool) -> None:
        key, parent = self.some(pick), self.some(to, FOLDER)
        assert key is not None
        assert parent is not None
        if key in ("top", "out"):
            return
        thing = self.model.things[key]
        thing.parents = {parent, *thing.parents} if both else {parent}
        self.model.touch(key)

    @rule(pick=st.integers(0, 99))
    def trash_or_not(self, pick: int) -> None:
        key = self.some(pick)
        if key is not None and key not in ("top", "out"):
            self.model.things[key].trashed = not self.model.things[key].trashed
            self.model.touch(key)

    @rule(pick=st.integers(0, 99))
    def delete(self, pick: int) -> None:
        key = self.some(pick)
        if key is not None and key not in ("top", "out"):
            del self.model.things[key]
            for thing in self.model.things.values():
                thing.parents.discard(key)
            self.model.log.append(key)

    @rule()
    def restart(self) -> None:
        self.mirror.close()
        self.mirror = Mirror(self.folder / "mirror.sqlite3")

    @rule()
    def begin_a_new_pass(self) -> None:
        self.model.log.clear()
        self.mirror.begin(self.model.describe("top"), (), "me", str(self.token))

    @rule(pages=st.integers(1, 3))
    def read_changes(self, pages: int) -> None:
        changes = self.model.changes()
        size = max(1, -(-len(changes) // pages))
        for start in range(0, len(changes), size):
            self.token += 1
            self.mirror.apply(changes[start : start + size], str(self.token))

    @rule()
    def list_one(self) -> None:
        for key in self.mirror.unlisted(1):
            self.list(key)

    def list(self, key: str) -> None:
        if key in self.model.things:
            self.mirror.put(self.model.children(key), listed=[key])
        else:
            self.mirror.remove(key)

    @rule()
    def catch_up(self) -> None:
        while True:
            while keys := self.mirror.unlisted(1):
                self.list(keys[0])
            self.read_changes(2)
            for key in self.mirror.unresolved(1, NOW):
                there = key in self.model.things and not self.model.things[key].trashed
                self.mirror.set_target(
                    key, self.model.describe(key) if there else None, None if there else "no", NEVER_RECHECK
                )
            if not self.mirror.unlisted(1):
                break
        self.mirror.prune()
        assert known(self.mirror) == self.model.files()

    @invariant()
    def there_is_a_token(self) -> None:
        position = self.mirror.position
        assert position is None or position.token == str(self.token)


MirrorMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMirrorMachine = pytest.mark.slow(MirrorMachine.TestCase)
