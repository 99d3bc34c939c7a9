"""Index of the files in a LanceDB table: the current row of each file, and the files of each set of chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rag_pipeline.ingest.store.lance import rows

FileKey = tuple[str, str]  # pipeline_id and file_id, both escaped
ContentKey = tuple[str, int]  # pipeline_id, escaped, and the generation of a set of chunks
TableRow = dict[str, Any]


class FileIndex:
    """The current row of each file, by file and by content; not safe under threads.

    Of several rows of one file, the one with the highest generation is current. A row that another one ``replaces`` is
    not current: so a file changes its id in one commit. Several files can share the same chunks.
    """

    def __init__(self, file_rows: Iterable[TableRow]) -> None:
        """Take all file rows of the table, in any order."""
        self._by_key: dict[FileKey, TableRow] = {}
        self._by_content: dict[ContentKey, dict[str, TableRow]] = {}
        self.newest = 0
        ordered = sorted(file_rows, key=lambda row: row["generation"])
        latest = {_key(row): row for row in ordered}
        replaced = {(row["pipeline_id"], row["replaces"]) for row in ordered if row.get("replaces") is not None}
        self.apply([row for row in latest.values() if (row["pipeline_id"], row["generation"]) not in replaced])
        if ordered:
            self.newest = ordered[-1]["generation"]

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[TableRow]:
        return iter(self._by_key.values())

    def get(self, key: FileKey) -> TableRow | None:
        """Return the file's current row, None if the file is not stored."""
        return self._by_key.get(key)

    def files_with(self, contents: Iterable[ContentKey]) -> dict[ContentKey, list[TableRow]]:
        """Return the current rows of the files that have each content; contents without a file are left out."""
        return {
            content: list(self._by_content[content].values()) for content in contents if content in self._by_content
        }

    def has_content(self, content: ContentKey) -> bool:
        """Return whether any file has this content."""
        return content in self._by_content

    def outdated(self, file_rows: Iterable[TableRow]) -> list[TableRow]:
        """Return the rows that are not current, oldest first.

        Remove them in this order: if a row were removed before the row that it replaces, that one would count again.
        """
        return sorted((row for row in file_rows if not self._is_current(row)), key=lambda row: row["generation"])

    def apply(self, new: Iterable[TableRow], removed: Iterable[FileKey] = ()) -> list[TableRow]:
        """Remove files, then add new rows; return the rows that are no longer current."""
        outdated = [row for key in removed if (row := self._pop(key)) is not None]
        for row in new:
            key = _key(row)
            if (old := self._pop(key)) is not None:
                outdated.append(old)
            self._by_key[key] = row
            self._by_content.setdefault(content_key(row), {})[key[1]] = row
            self.newest = max(self.newest, row["generation"])
        return outdated

    def _is_current(self, row: TableRow) -> bool:
        current = self._by_key.get(_key(row))
        return current is not None and current["generation"] == row["generation"]

    def _pop(self, key: FileKey) -> TableRow | None:
        row = self._by_key.pop(key, None)
        if row is not None:
            content = content_key(row)
            files = self._by_content[content]
            del files[key[1]]
            if not files:
                del self._by_content[content]
        return row


def content_key(file_row: TableRow) -> ContentKey:
    """Return the key of a file's chunks."""
    return file_row["pipeline_id"], rows.content_of(file_row)


def _key(row: TableRow) -> FileKey:
    return row["pipeline_id"], row["file_id"]
