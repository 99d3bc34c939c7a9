"""Checks and orders the moves and copies of files, for every store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rag_pipeline.ingest.types import SourceFile


def check_moves(moves: Mapping[str, SourceFile]) -> None:
    """Raise ValueError if two files would get the same id."""
    if len({file.file_id for file in moves.values()}) < len(moves):
        raise ValueError("moves: two files would get the same id")


def copies_by_id(copies: Iterable[tuple[str, SourceFile]]) -> dict[str, tuple[str, SourceFile]]:
    """Return the copies by new id."""
    return {file.file_id: (from_id, file) for from_id, file in copies}


def overwritten_sources(copies: Mapping[str, tuple[str, SourceFile]]) -> list[str]:
    """Return the ids of source files that another copy overwrites: both, if two files swap their content."""
    sources = dict.fromkeys(from_id for from_id, _ in copies.values())
    return [from_id for from_id in sources if from_id in copies and copies[from_id][0] != from_id]
