"""The mirror: a SQLite copy of the tree below the watched folder, with the page token up to which it is current.

Each page of a listing or of changes is applied in one transaction together with its token. So a killed process neither
loses a page nor keeps a token that is newer than its data. The pipeline's work is the difference between the mirror and
the ledger; a lost mirror is rebuilt by listing, and no file is processed again.

Files and folders are nodes; parents and shortcut targets are edges. Only nodes count that can be reached from the
watched folder without passing a node that was trashed by itself. So each file counts once, however many ways lead to
it, and loops are harmless. Drive also calls everything below a trashed folder trashed, but this is ignored: Drive
reports no change for it, so it would stay wrong after the folder is restored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from rag_pipeline.sources.database import Database
from rag_pipeline.sources.google_drive.export_formats import FOLDER
from rag_pipeline.sources.google_drive.records import DriveChange, DriveFile, ShortcutTarget

# state.missed: whether a full pass is needed, see Position.
# files.pass: the full pass that saw the file last; files of older passes are gone at the end of a pass.
# files.trashed: by itself, not with a folder above it.
# files.listed: whether all of this folder was listed in this pass.
# files.retried: see Mirror.mark_refused.
# above: the ancestors of the watched folder.
_SCHEMA = """
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), root TEXT NOT NULL, drive_id TEXT, account TEXT NOT NULL,
    token TEXT NOT NULL, missed INTEGER NOT NULL, pass INTEGER NOT NULL
);
CREATE TABLE files (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, mime_type TEXT NOT NULL, size INTEGER, md5 TEXT, version INTEGER NOT NULL,
    modified_time TEXT NOT NULL, trashed INTEGER NOT NULL, drive_id TEXT, web_link TEXT, target_id TEXT,
    target_mime_type TEXT, can_download INTEGER NOT NULL, head_revision TEXT, pass INTEGER NOT NULL,
    listed INTEGER NOT NULL, retried INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE edges (
    parent TEXT NOT NULL, child TEXT NOT NULL, shortcut INTEGER NOT NULL, PRIMARY KEY (parent, child, shortcut)
) WITHOUT ROWID;
CREATE INDEX edges_by_child ON edges (child);
CREATE TABLE targets (id TEXT PRIMARY KEY, reason TEXT, checked_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE above (id TEXT PRIMARY KEY) WITHOUT ROWID
"""
# Ids that were below the watched folder through a parent folder, and are no longer visible there.
_INSIDE = "CREATE TABLE inside (id TEXT PRIMARY KEY) WITHOUT ROWID"

_COLUMNS = (
    "id, name, mime_type, size, md5, version, modified_time, trashed, drive_id, web_link, target_id, target_mime_type,"
    " can_download, head_revision"
)
_FILE = ", ".join(f"f.{column.strip()}" for column in _COLUMNS.split(","))
_BELOW = """
WITH RECURSIVE below(id) AS (
    SELECT root FROM state
    UNION
    SELECT e.child FROM below JOIN edges e ON e.parent = below.id JOIN files f ON f.id = e.child
    WHERE f.trashed = 0 AND f.pass = (SELECT pass FROM state)
)
"""
_IN_FOLDERS = "EXISTS (SELECT 1 FROM edges o WHERE o.child = {} AND NOT o.shortcut AND o.parent IN below)"

NEVER_RECHECK = 1e18
"""The lookup time of a target that need not be looked up again."""


class MirrorPosition(NamedTuple):
    """The mirrored folder, and the page token of the next changes.

    drive_id: the shared drive of the token, None for My Drive.
    account: the account that sees the folder; page tokens of another account mean something else.
    needs_full_pass: whether something happened that the log of changes does not report in full.
    """

    root_id: str
    drive_id: str | None
    account: str
    token: str
    needs_full_pass: bool


class Shortcut(NamedTuple):
    """A shortcut below the folder.

    target: None if it is unknown or not followed.
    reason: why it is not followed, None if it is.
    in_folders: whether the target also lies below the watched folder through folders.
    """

    file: DriveFile
    target: DriveFile | None
    reason: str | None
    in_folders: bool


class LastSeen(NamedTuple):
    """The last known state of something that is no longer below the folder; ``parents`` are its visible folders."""

    trashed: bool
    parents: tuple[str, ...]


class Mirror:
    """The tree below one folder; safe under threads.

    ``revision`` rises with each change. Raises :class:`~rag_pipeline.errors.StateError` if the file is damaged, of a
    newer version or not writable.
    """

    def __init__(self, path: Path) -> None:
        self.revision = 0
        self._pruned_revision = -1
        self._last_seen: dict[str, LastSeen] = {}
        self._removed: set[str] = set()
        rebuilt = "Drive is listed again, and no stored file is processed again"
        self._db = Database(path, (_SCHEMA, _INSIDE), rebuilt=rebuilt)

    def close(self) -> None:
        """Write everything to the file and close it; idempotent."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- position --------------------------------------------------------------------------------------------------

    @property
    def position(self) -> MirrorPosition | None:
        """The mirror's position; None before the first pass."""
        rows = self._db.run("SELECT root, drive_id, account, token, missed FROM state")
        if not rows:
            return None
        root_id, drive_id, account, token, missed = rows[0]
        return MirrorPosition(root_id, drive_id, account, token, bool(missed))

    def begin(self, root: DriveFile, ancestors: Iterable[str], account: str, token: str) -> None:
        """Begin a full pass over the folder ``root``; ``token`` was issued before it, so no change is missed.

        ``ancestors`` are the folders above it: a change of one may concern the whole tree. Known files stay in the
        mirror, and count again once the pass has seen them.
        """
        with self._db.transaction():
            self._db.run(
                "INSERT OR REPLACE INTO state SELECT 1, ?, ?, ?, ?, 0, coalesce(max(pass), 0) + 1 FROM state",
                (root.id, root.drive_id, account, token),
            )
            self._db.run("UPDATE files SET listed = 0")
            self._db.run("DELETE FROM targets")
            self._db.run("DELETE FROM above")
            for folder in ancestors:
                self._db.run("INSERT OR IGNORE INTO above VALUES (?)", (folder,))
            self._put(root)
            self.revision += 1

    def is_ancestor(self, file_id: str) -> bool:
        """Return whether this is the watched folder, or a folder above it."""
        query = "SELECT 1 FROM above WHERE id = ? UNION SELECT 1 FROM state WHERE root = ?"
        return bool(self._db.run(query, (file_id, file_id)))

    # -- updates ---------------------------------------------------------------------------------------------------

    def apply(self, changes: Iterable[DriveChange], token: str) -> None:
        """Apply a page of changes, and save the token of the next page.

        A change of the watched folder or of a folder above it does not tell what happened to the tree, which may have
        been trashed or invisible for a while. It makes a full pass necessary.
        """
        with self._db.transaction():
            for change in changes:
                if self.is_ancestor(change.file_id):
                    self.require_full_pass()
                self._apply(change)
            self._db.run("UPDATE state SET token = ?", (token,))

    def require_full_pass(self) -> None:
        """Require a full pass before any file counts as gone."""
        self._db.run("UPDATE state SET missed = 1")

    def _apply(self, change: DriveChange) -> None:
        file_id, file = change.file_id, change.file
        is_known = bool(self._db.run("SELECT 1 FROM files WHERE id = ?", (file_id,)))
        is_in_tree = file is not None and (is_known or any(self._is_folder(parent) for parent in file.parents))
        if file is not None and is_in_tree:
            self.put((file,))
        elif is_known:
            self.remove(file_id)
        if file is None or file.trashed or not is_in_tree:
            # Shortcut targets may lie in a folder that has changed: Drive reports nothing for them.
            may_be_folder = file is None or file.mime_type == FOLDER
            self._db.run("UPDATE targets SET checked_at = 0 WHERE ? OR id = ?", (may_be_folder, file_id))

    def put(self, files: Iterable[DriveFile], *, listed: Sequence[str] = ()) -> None:
        """Insert or update files; ``listed`` are folders whose listing is now complete."""
        with self._db.transaction():
            for file in files:
                self._put(file)
            for folder in listed:
                self._db.run("UPDATE files SET listed = 1 WHERE id = ?", (folder,))
            self.revision += 1

    def remove(self, file_id: str) -> None:
        """Remove a file that is gone or invisible; never the watched folder, which may come back."""
        with self._db.transaction():
            self._db.run("DELETE FROM files WHERE id = ? AND id NOT IN (SELECT root FROM state)", (file_id,))
            self._removed.add(file_id)
            self.revision += 1

    def mark_refused(self, file_id: str) -> None:
        """Record that Drive refused a file's content although its metadata allows the download.

        Only the owner can change that. Drive then raises the file's version, even if the content stays the same, and
        the file is retried from that version on (:meth:`files`).
        """
        self._db.run("UPDATE files SET retried = -version WHERE id = ?", (file_id,))

    # -- pending requests ------------------------------------------------------------------------------------------

    def unlisted(self, limit: int) -> list[str]:
        """Return folders that have to be listed, the nearest to the watched folder first."""
        query = f"{_BELOW} SELECT id FROM below JOIN files USING (id) WHERE mime_type = ? AND NOT listed LIMIT ?"
        return [key for (key,) in self._db.run(query, (FOLDER, limit))]

    def unresolved(self, checked_since: float, now: float) -> list[str]:
        """Return the shortcut targets outside the tree that were not looked up between ``checked_since`` and ``now``.

        A lookup time after ``now`` comes from a wrong clock, and does not count.
        """
        query = f"""{_BELOW} SELECT DISTINCT e.child FROM below JOIN edges e ON e.parent = below.id AND e.shortcut
            LEFT JOIN targets t ON t.id = e.child
            WHERE (t.id IS NULL OR NOT (t.checked_at BETWEEN ? AND ? OR t.checked_at = ?))
            AND e.child NOT IN (SELECT root FROM state)
            AND NOT (e.child IN below AND {_IN_FOLDERS.format("e.child")}) ORDER BY 1"""
        return [key for (key,) in self._db.run(query, (checked_since, now, NEVER_RECHECK))]

    def set_target(self, file_id: str, file: DriveFile | None, reason: str | None, checked_at: float) -> None:
        """Set a shortcut's target: the file, or the reason why it is not followed.

        ``checked_at`` is the time of the lookup, or :data:`NEVER_RECHECK` if Drive reports the target's changes.
        """
        with self._db.transaction():
            self._db.run("INSERT OR REPLACE INTO targets VALUES (?, ?, ?)", (file_id, reason, checked_at))
            if file is None:
                self._db.run("DELETE FROM files WHERE id = ? AND id NOT IN (SELECT root FROM state)", (file_id,))
            else:
                self._put(file)
            self.revision += 1

    def unseen(self, *, folders: bool) -> list[str]:
        """Return files, or folders, that are missing from the listing of their folder in this pass."""
        query = f"""{_BELOW} SELECT DISTINCT f.id FROM files f JOIN edges e ON e.child = f.id AND NOT e.shortcut
            WHERE e.parent IN below AND f.pass != (SELECT pass FROM state) AND NOT f.trashed
            AND (f.mime_type = ?) = ? AND f.id NOT IN (SELECT root FROM state) ORDER BY 1"""
        return [key for (key,) in self._db.run(query, (FOLDER, folders))]

    def prune(self) -> None:
        """Remove everything that can't be reached, at the end of a pass or of a page of changes."""
        if self._pruned_revision == self.revision:
            return
        with self._db.transaction():
            self._remember_unreachable()
            self._db.run(f"{_BELOW} DELETE FROM files WHERE id NOT IN (SELECT id FROM below)")
            self._db.run("DELETE FROM edges WHERE NOT shortcut AND child NOT IN (SELECT id FROM files)")
            self._db.run("DELETE FROM edges WHERE shortcut AND parent NOT IN (SELECT id FROM files)")
            self._db.run("DELETE FROM targets WHERE id NOT IN (SELECT child FROM edges WHERE shortcut)")
            # Drive reports the changes of a target for as long as it is reachable through folders.
            self._db.run(f"{_BELOW} DELETE FROM targets WHERE id IN below AND {_IN_FOLDERS.format('targets.id')}")
        self._pruned_revision = self.revision

    def _remember_unreachable(self) -> None:
        """Remember the last known state of what has become unreachable, if it was seen in this pass."""
        query = f"""{_BELOW} SELECT f.id, f.trashed, f.pass = (SELECT pass FROM state), e.parent
            FROM files f LEFT JOIN edges e ON e.child = f.id AND NOT e.shortcut WHERE f.id NOT IN below"""
        parents: dict[str, list[str]] = {}
        rows = self._db.run(query)
        for key, _, _, parent in rows:
            parents.setdefault(key, []).extend([] if parent is None else [parent])
        self._last_seen |= {
            key: LastSeen(bool(trashed), tuple(parents[key])) for key, trashed, is_current, _ in rows if is_current
        }
        inside = [(key,) for key, folders in parents.items() if folders]
        self._db.run_many("INSERT OR IGNORE INTO inside VALUES (?)", inside)
        self._db.run(f"{_BELOW} DELETE FROM inside WHERE id IN below")

    # -- removed and unreachable files -----------------------------------------------------------------------------

    def is_removed(self, file_id: str) -> bool:
        """Return whether Drive told this process that this very file is gone."""
        return file_id in self._removed

    def last_seen(self, file_id: str) -> LastSeen | None:
        """Return the last known state of something that is no longer in the tree; None if unknown."""
        return self._last_seen.get(file_id)

    def was_inside(self, file_id: str) -> bool:
        """Return whether something invisible was below the watched folder through a parent folder."""
        return bool(self._db.run("SELECT 1 FROM inside WHERE id = ?", (file_id,)))

    def is_inside(self, file_id: str) -> bool:
        """Return whether this is the watched folder, or below it."""
        return bool(self._db.run(f"{_BELOW} SELECT 1 FROM below WHERE id = ?", (file_id,)))

    # -- content ---------------------------------------------------------------------------------------------------

    def file(self, file_id: str) -> DriveFile | None:
        """Return one file; None if it is unknown."""
        rows = self._db.run(f"SELECT {_COLUMNS} FROM files WHERE id = ?", (file_id,))
        return _read(rows[0]) if rows else None

    def retry_version(self, file_id: str) -> int:
        """Return the version from which a refused file is retried, 0 for none."""
        rows = self._db.run("SELECT max(retried, 0) FROM files WHERE id = ?", (file_id,))
        return int(rows[0][0]) if rows else 0

    def files(self) -> Iterator[tuple[DriveFile, int]]:
        """Yield everything below the folder except folders and shortcuts, each with its :meth:`retry_version`."""
        query = f"""{_BELOW} SELECT {_FILE}, max(f.retried, 0) FROM below JOIN files f USING (id)
            WHERE f.mime_type != ? AND f.target_id IS NULL"""
        for *row, retry_version in self._db.run(query, (FOLDER,)):
            yield _read(row), retry_version

    def shortcuts(self) -> Iterator[Shortcut]:
        """Yield the shortcuts below the folder, ordered by id."""
        query = f"""{_BELOW} SELECT {_FILE}, f.target_id IN below, t.reason, {_IN_FOLDERS.format("f.target_id")}
            FROM below JOIN files f USING (id) LEFT JOIN targets t ON t.id = f.target_id
            WHERE f.target_id IS NOT NULL ORDER BY f.id"""
        for *row, followed, reason, in_folders in self._db.run(query):
            target = self.file(row[10]) if followed else None
            yield Shortcut(_read(row), target, None if followed else reason, bool(followed and in_folders))

    # ----------------------------------------------------------------------------------------------------------------

    def _is_folder(self, file_id: str) -> bool:
        return bool(self._db.run("SELECT 1 FROM files WHERE id = ? AND mime_type = ?", (file_id, FOLDER)))

    def _put(self, file: DriveFile) -> None:
        self._last_seen.pop(file.id, None)
        self._removed.discard(file.id)
        version = _number(file.version)
        rows = self._db.run("SELECT version, listed, retried FROM files WHERE id = ?", (file.id,))
        old_version, listed, retried = rows[0] if rows else (0, 0, 0)
        if version < old_version:
            # A listing may lag behind the log of changes.
            self._db.run("UPDATE files SET pass = (SELECT pass FROM state) WHERE id = ?", (file.id,))
            return
        if retried < 0 and version > -retried:
            retried = version
        target = file.shortcut_target
        values = (
            *(file.id, file.name, file.mime_type, file.size, file.md5, version, file.modified_time),
            *(file.explicitly_trashed, file.drive_id, file.web_link),
            *(target and target.file_id, target and target.mime_type),
            *(file.can_download, file.head_revision, listed, retried),
        )
        placeholders = ", ".join("?" * (len(values) - 2))
        self._db.run(f"INSERT OR REPLACE INTO files SELECT {placeholders}, pass, ?, ? FROM state", values)
        if not file.parents:
            query = "INSERT OR IGNORE INTO inside SELECT child FROM edges WHERE child = ? AND NOT shortcut"
            self._db.run(query, (file.id,))
        self._db.run("DELETE FROM edges WHERE child = ? AND NOT shortcut", (file.id,))
        self._db.run("DELETE FROM edges WHERE parent = ? AND shortcut", (file.id,))
        for parent in file.parents:
            self._db.run("INSERT OR IGNORE INTO edges VALUES (?, ?, 0)", (parent, file.id))
        if target is not None:
            self._db.run("INSERT INTO edges VALUES (?, ?, 1)", (file.id, target.file_id))


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0


def _read(row: Sequence[Any]) -> DriveFile:
    """Return the file of a row, without its parents, which are edges."""
    (key, name, mime_type, size, md5, version, modified, trashed, drive_id, link, target, target_mime, can, head) = row
    return DriveFile(
        id=key,
        name=name,
        mime_type=mime_type,
        size=size,
        md5=md5,
        version=str(version),
        modified_time=modified,
        trashed=bool(trashed),
        explicitly_trashed=bool(trashed),
        drive_id=drive_id,
        web_link=link,
        shortcut_target=None if target is None else ShortcutTarget(target, target_mime or ""),
        can_download=bool(can),
        head_revision=head,
    )
