"""What a store in a state folder holds, read beside whoever writes it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.texts import normal
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.chunk_table import read_file_rows
from rag_pipeline.ingest.store.lance.file_index import FileIndex
from rag_pipeline.ingest.store.lance.store import TABLE


def stored(state: Path) -> dict[str, list[str]]:
    """Return the chunks of each stored file, in order, by the file's name."""
    import lancedb

    folder = state / "store"
    if not (folder / f"{TABLE}.lance").is_dir():
        return {}
    table = lancedb.connect(folder).open_table(TABLE)
    heads = list(FileIndex(read_file_rows(table)))
    columns = ["generation", "chunk", "text"]
    found = table.search().where("chunk >= 0").select(columns).limit(1 << 31).to_arrow().to_pylist()
    chunks: dict[int, list[tuple[int, str]]] = {}
    for row in found:
        chunks.setdefault(row["generation"], []).append((row["chunk"], row["text"]))
    return {head["name"]: [text for _, text in sorted(chunks.get(rows.content_of(head), ()))] for head in heads}


def stored_words(state: Path) -> dict[str, str]:
    """Return the text of each stored file, with one space between words, by the file's name."""
    return {name: normal(" ".join(chunks)) for name, chunks in stored(state).items()}
