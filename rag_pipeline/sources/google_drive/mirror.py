"""The mirror: what Drive has below the watched folder, and the page token of the change up to which that holds.

It is one SQLite file. Each page that Drive gives, of a listing or of changes, is applied in one transaction together
with its token, so that a process killed at any moment has neither lost a page nor a token too new for what it knows.
What is to be done follows from the difference between the mirror and the ledger; a mirror that was lost is made anew by
listing, and costs no file.

Files and folders are nodes, their parents are edges, and so is what a shortcut points to. What counts is what can be
reached from the watched folder without passing what was put into the trash: so each file is there once whatever leads
to it, and a loop ends where it began. That Drive calls everything below a trashed folder trashed, too, is left aside:
of that it tells no changes, and what was told while a folder was in the trash would stay wrong after it is taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from rag_pipeline.sources.database import Database
from rag_pipeline.sources.google_drive.export_formats import FOLDER
from rag_pipeline.sources.google_drive.records import DriveChange, DriveFile, ShortcutTarget

# pass: the full pass that saw the file last; older ones are gone once a pass is over.
# trashed: by itself, not with a folder that it lies in.
# listed: whether all that is in this folder has been listed in this pass.
# retried: see Mirror.refuse.
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
# inside: what was below the watched folder by a folder of its own, and is no longer to be seen there.
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
"""When something was looked up that need not be looked up again."""


class Position(NamedTuple):
    """Where the mirror stands: the folder it is of, and the token of the changes that come next.

    drive_id: the shared drive that the token is of, None for My Drive.
    account: with whose eyes it was seen; another's tokens mean something else.
    missed: whether something happened that changes don't tell in full, so that a pass has to begin anew.
    """

    root_id: str
    drive_id: str | None
    account: str
    token: str
    missed: bool


class Shortcut(NamedTuple):
    """A shortcut below the folder.

    target: what it points to, None if that isn't known; ``reason`` says why it is not followed, None if it is.
    in_folders: whether the target is below the folder itself, too.
    """

    file: DriveFile
    target: DriveFile | None
    reason: str | None
    in_folders: bool


class LastSeen(NamedTuple):
    """Something that is no longer below the folder, as Drive told of it last.

    parents: the folders it is in that can be seen.
    """

    trashed: bool
    parents: tuple[str, ...]


class Mirror:
    """What is below one folder; safe to call from several threads.

    ``revision`` rises with each change of what is in it. Raises :class:`~rag_pipeline.errors.StateError` if the file is
    damaged, of a newer version or can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.revision = 0
        self._tidied = -1
        self._left: dict[str, LastSeen] = {}
        self._removed: set[str] = set()
        rebuilt = "Drive is listed again, and nothing that is stored is done again"
        self._db = Database(path, (_SCHEMA, _INSIDE), rebuilt=rebuilt)

    def close(self) -> None:
        """Write everything to the file and close it; idempotent."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- where it stands -------------------------------------------------------------------------------------------

    @property
    def position(self) -> Position | None:
        """Where the mirror stands; None before the first pass."""
        rows = self._db.run("SELECT root, drive_id, account, token, missed FROM state")
        if not rows:
            return None
        root_id, drive_id, account, token, missed = rows[0]
        return Position(root_id, drive_id, account, token, bool(missed))

    def begin(self, root: DriveFile, above: Iterable[str], account: str, token: str) -> None:
        """Begin a full pass over the folder ``root``; ``token`` was given out before it, so no change is missed.

        ``above`` are the folders it lies in: their fate is its own. What was known stays known, and counts again once
        the pass has seen it.
        """
        with self._db.transaction():
            self._db.run(
                "INSERT OR REPLACE INTO state SELECT 1, ?, ?, ?, ?, 0, coalesce(max(pass), 0) + 1 FROM state",
                (root.id, root.drive_id, account, token),
            )
            self._db.run("UPDATE files SET listed = 0")
            self._db.run("DELETE FROM targets")
            self._db.run("DELETE FROM above")
            for folder in above:
                self._db.run("INSERT OR IGNORE INTO above VALUES (?)", (folder,))
            self._put(root)
            self.revision += 1

    def is_above(self, file_id: str) -> bool:
        """Return whether this is the watched folder itself, or one that it lies in."""
        query = "SELECT 1 FROM above WHERE id = ? UNION SELECT 1 FROM state WHERE root = ?"
        return bool(self._db.run(query, (file_id, file_id)))

    # -- what Drive says -------------------------------------------------------------------------------------------

    def apply(self, changes: Iterable[DriveChange], token: str) -> None:
        """Take in a page of changes, and the token of what comes after it.

        Of the watched folder itself, and of those above it, they don't tell what it meant for what is below: it was in
        the trash or out of sight for a while, perhaps. Then the position has ``missed`` something.
        """
        with self._db.transaction():
            for change in changes:
                if self.is_above(change.file_id):
                    self.miss()
                self._apply(change)
            self._db.run("UPDATE state SET token = ?", (token,))

    def miss(self) -> None:
        """Note that a full pass has to begin before anything is taken for gone."""
        self._db.run("UPDATE state SET missed = 1")

    def _apply(self, change: DriveChange) -> None:
        key, file = change.file_id, change.file
        known = bool(self._db.run("SELECT 1 FROM files WHERE id = ?", (key,)))
        is_ours = file is not None and (known or any(self._is_folder(parent) for parent in file.parents))
        if file is not None and is_ours:
            self.put((file,))
        elif known:
            self.remove(key)
        if file is None or file.trashed or not is_ours:
            # What shortcuts lead to may lie in a folder, and share its fate without a word.
            may_be_folder = file is None or file.mime_type == FOLDER
            self._db.run("UPDATE targets SET checked_at = 0 WHERE ? OR id = ?", (may_be_folder, key))

    def put(self, files: Iterable[DriveFile], *, listed: Sequence[str] = ()) -> None:
        """Take in files as they are now; ``listed`` are folders of which this was the last page."""
        with self._db.transaction():
            for file in files:
                self._put(file)
            for folder in listed:
                self._db.run("UPDATE files SET listed = 1 WHERE id = ?", (folder,))
            self.revision += 1

    def remove(self, file_id: str) -> None:
        """Forget what Drive says is not there or can't be seen; never the watched folder, which may come back."""
        with self._db.transaction():
            self._db.run("DELETE FROM files WHERE id = ? AND id NOT IN (SELECT root FROM state)", (file_id,))
            self._removed.add(file_id)
            self.revision += 1

    def refuse(self, file_id: str) -> None:
        """Note that Drive has refused the content of a file that looked as if it could be had.

        Only its owner can change that, and Drive then counts up the file's version, though the content stays the same:
        from that version on it is a file to be tried again (:meth:`files`).
        """
        self._db.run("UPDATE files SET retried = -version WHERE id = ?", (file_id,))

    # -- what is left to ask ---------------------------------------------------------------------------------------

    def unlisted(self, limit: int) -> list[str]:
        """Return folders that have to be listed, those nearest to the watched one first."""
        query = f"{_BELOW} SELECT id FROM below JOIN files USING (id) WHERE mime_type = ? AND NOT listed LIMIT ?"
        return [key for (key,) in self._db.run(query, (FOLDER, limit))]

    def unresolved(self, checked_since: float, now: float) -> list[str]:
        """Return what shortcuts alone lead to and was not looked up between then and now, and has to be.

        What was looked up later than now was so by a clock that was wrong.
        """
        query = f"""{_BELOW} SELECT DISTINCT e.child FROM below JOIN edges e ON e.parent = below.id AND e.shortcut
            LEFT JOIN targets t ON t.id = e.child
            WHERE (t.id IS NULL OR NOT (t.checked_at BETWEEN ? AND ? OR t.checked_at = ?))
            AND e.child NOT IN (SELECT root FROM state)
            AND NOT (e.child IN below AND {_IN_FOLDERS.format("e.child")}) ORDER BY 1"""
        return [key for (key,) in self._db.run(query, (checked_since, now, NEVER_RECHECK))]

    def set_target(self, file_id: str, file: DriveFile | None, reason: str | None, checked_at: float) -> None:
        """Take in what a shortcut points to: the file, or else the reason why it is not followed.

        ``checked_at`` is when that was looked up, :data:`NEVER_RECHECK` for what the changes tell of from now on.
        """
        with self._db.transaction():
            self._db.run("INSERT OR REPLACE INTO targets VALUES (?, ?, ?)", (file_id, reason, checked_at))
            if file is None:
                self._db.run("DELETE FROM files WHERE id = ? AND id NOT IN (SELECT root FROM state)", (file_id,))
            else:
                self._put(file)
            self.revision += 1

    def unseen(self, *, folders: bool) -> list[str]:
        """Return what was in a folder that was listed in this pass, and was not shown there."""
        query = f"""{_BELOW} SELECT DISTINCT f.id FROM files f JOIN edges e ON e.child = f.id AND NOT e.shortcut
            WHERE e.parent IN below AND f.pass != (SELECT pass FROM state) AND NOT f.trashed
            AND (f.mime_type = ?) = ? AND f.id NOT IN (SELECT root FROM state) ORDER BY 1"""
        return [key for (key,) in self._db.run(query, (FOLDER, folders))]

    def tidy(self) -> None:
        """Forget all that can't be reached: the pass, or the changes, are taken in."""
        if self._tidied == self.revision:
            return
        with self._db.transaction():
            self._note_left()
            self._db.run(f"{_BELOW} DELETE FROM files WHERE id NOT IN (SELECT id FROM below)")
            self._db.run("DELETE FROM edges WHERE NOT shortcut AND child NOT IN (SELECT id FROM files)")
            self._db.run("DELETE FROM edges WHERE shortcut AND parent NOT IN (SELECT id FROM files)")
            self._db.run("DELETE FROM targets WHERE id NOT IN (SELECT child FROM edges WHERE shortcut)")
            # Once it is there by its folders the changes tell of it, for as long as it is.
            self._db.run(f"{_BELOW} DELETE FROM targets WHERE id IN below AND {_IN_FOLDERS.format('targets.id')}")
        self._tidied = self.revision

    def _note_left(self) -> None:
        """Note of what can't be reached any more where it was; only what was told in this pass holds."""
        query = f"""{_BELOW} SELECT f.id, f.trashed, f.pass = (SELECT pass FROM state), e.parent
            FROM files f LEFT JOIN edges e ON e.child = f.id AND NOT e.shortcut WHERE f.id NOT IN below"""
        parents: dict[str, list[str]] = {}
        rows = self._db.run(query)
        for key, _, _, parent in rows:
            parents.setdefault(key, []).extend([] if parent is None else [parent])
        self._left |= {
            key: LastSeen(bool(trashed), tuple(parents[key])) for key, trashed, is_told, _ in rows if is_told
        }
        inside = [(key,) for key, is_in in parents.items() if is_in]
        self._db.run_many("INSERT OR IGNORE INTO inside VALUES (?)", inside)
        self._db.run(f"{_BELOW} DELETE FROM inside WHERE id IN below")

    # -- what has left ---------------------------------------------------------------------------------------------

    def is_removed(self, file_id: str) -> bool:
        """Return whether Drive has said, of this very file and in this process, that it is not there any more."""
        return file_id in self._removed

    def left(self, file_id: str) -> LastSeen | None:
        """Return what Drive told last of something that has left; None if that isn't known."""
        return self._left.get(file_id)

    def was_inside(self, file_id: str) -> bool:
        """Return whether something that is not to be seen was below the watched folder by a folder of its own."""
        return bool(self._db.run("SELECT 1 FROM inside WHERE id = ?", (file_id,)))

    def is_below(self, file_id: str) -> bool:
        """Return whether it is the watched folder, or below it."""
        return bool(self._db.run(f"{_BELOW} SELECT 1 FROM below WHERE id = ?", (file_id,)))

    # -- what there is ---------------------------------------------------------------------------------------------

    def file(self, file_id: str) -> DriveFile | None:
        """Return one file; None if it is not known."""
        rows = self._db.run(f"SELECT {_COLUMNS} FROM files WHERE id = ?", (file_id,))
        return _read(rows[0]) if rows else None

    def retried(self, file_id: str) -> int:
        """Return the version since which a file is to be tried again, as :meth:`files` does."""
        rows = self._db.run("SELECT max(retried, 0) FROM files WHERE id = ?", (file_id,))
        return int(rows[0][0]) if rows else 0

    def files(self) -> Iterator[tuple[DriveFile, int]]:
        """Yield what is below the folder and is neither a folder nor a shortcut.

        Beside each is the version since which it is to be tried again, 0 for no such need.
        """
        query = f"""{_BELOW} SELECT {_FILE}, max(f.retried, 0) FROM below JOIN files f USING (id)
            WHERE f.mime_type != ? AND f.target_id IS NULL"""
        for *row, retried in self._db.run(query, (FOLDER,)):
            yield _read(row), retried

    def shortcuts(self) -> Iterator[Shortcut]:
        """Yield the shortcuts below the folder, in the order of their ids."""
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
        self._left.pop(file.id, None)
        self._removed.discard(file.id)
        version = _number(file.version)
        rows = self._db.run("SELECT version, listed, retried FROM files WHERE id = ?", (file.id,))
        before, listed, retried = rows[0] if rows else (0, 0, 0)
        if version < before:
            # Listings may lag behind the changes.
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
        holes = ", ".join("?" * (len(values) - 2))
        self._db.run(f"INSERT OR REPLACE INTO files SELECT {holes}, pass, ?, ? FROM state", values)
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
    """Return the file of a row; its parents are known to the edges alone."""
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
