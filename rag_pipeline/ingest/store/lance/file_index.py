"""The files of a LanceDB table: which head row counts for each file, and which files show a set of chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rag_pipeline.ingest.store.lance import rows

FileKey = tuple[str, str]  # pipeline_id and file_id as they are stored
TableRow = dict[str, Any]


class FileIndex:
    """The head that counts for each file, with the set of chunks it shows; not safe under threads.

    Of several heads of one file the one with the highest generation counts. A head that another one ``replaces`` does
    not count: that is how a file changes its id in one commit. Several files can show the same chunks.
    """

    def __init__(self, found: Iterable[TableRow]) -> None:
        """Take every head row of the table, in any order."""
        self._by_key: dict[FileKey, TableRow] = {}
        self._by_content: dict[tuple[str, int], dict[str, TableRow]] = {}
        self.newest = 0
        ordered = sorted(found, key=lambda row: row["generation"])
        latest = {(row["pipeline_id"], row["file_id"]): row for row in ordered}
        replaced = {(row["pipeline_id"], row["replaces"]) for row in ordered if row.get("replaces") is not None}
        live = [row for row in latest.values() if (row["pipeline_id"], row["generation"]) not in replaced]
        self.apply(live)
        if ordered:
            self.newest = ordered[-1]["generation"]

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[TableRow]:
        return iter(self._by_key.values())

    def get(self, key: FileKey) -> TableRow | None:
        """Return the file's head, None if it is not stored."""
        return self._by_key.get(key)

    def showing(self, pipeline_id: str, content: int) -> list[TableRow]:
        """Return the heads of all files that show these chunks."""
        return list(self._by_content.get((pipeline_id, content), {}).values())

    def is_shown(self, pipeline_id: str, content: int) -> bool:
        """Return whether any file shows these chunks."""
        return (pipeline_id, content) in self._by_content

    def replaced(self, found: Iterable[TableRow]) -> list[TableRow]:
        """Return those of the head rows that do not count, oldest first.

        Remove them in this order: then a head never goes before the one that it replaces, which would count again.
        """
        dead = [row for row in found if not self._counts(row)]
        return sorted(dead, key=lambda row: row["generation"])

    def apply(self, new: Iterable[TableRow], gone: Iterable[FileKey] = ()) -> list[TableRow]:
        """Remove the files that are gone, then put the new heads; return the heads that no longer count."""
        dead = [row for key in gone if (row := self._pop(key)) is not None]
        for row in new:
            key = (row["pipeline_id"], row["file_id"])
            if (old := self._pop(key)) is not None:
                dead.append(old)
            self._by_key[key] = row
            self._by_content.setdefault((key[0], rows.content_of(row)), {})[key[1]] = row
            self.newest = max(self.newest, row["generation"])
        return dead

    def _counts(self, row: TableRow) -> bool:
        current = self._by_key.get((row["pipeline_id"], row["file_id"]))
        return current is not None and current["generation"] == row["generation"]

    def _pop(self, key: FileKey) -> TableRow | None:
        row = self._by_key.pop(key, None)
        if row is not None:
            content = (key[0], rows.content_of(row))
            showing = self._by_content[content]
            del showing[key[1]]
            if not showing:
                del self._by_content[content]
        return row
