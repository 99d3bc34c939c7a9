"""Pictures written into a text are taken out."""

from __future__ import annotations

from rag_pipeline.ingest.extract.data_uris import DataUriFilter, is_base64, without_data_uris

URI = "data:image/png;base64," + "iVBORw0KGgo" * 9


def test_a_picture_is_taken_out() -> None:
    assert without_data_uris(f"![a]({URI}) b") == "![a]() b"
    assert (
        without_data_uris("data:text/plain;base64,short base64, words") == "data:text/plain;base64,short base64, words"
    )


def test_a_picture_in_pieces_is_taken_out() -> None:
    filter_ = DataUriFilter()
    assert [filter_.filter(piece) for piece in (f"a {URI}", "AAAA", "BB) b", "c")] == ["a ", "", ") b", "c"]


def test_files_in_base64_are_told_from_text() -> None:
    assert is_base64(("iVBORw0KGgo" * 7 + "\n") * 3)
    assert not is_base64("ACGT" * 99)  # a sequence
    assert not is_base64("word " * 99)
    assert not is_base64("iVBORw0KGgo=")
