"""Documents of whole files, and of what was read before a limit."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import UnreadableTextError
from rag_pipeline.ingest.extract.document_builder import DocumentBuilder
from rag_pipeline.ingest.extract.messages import Finished, PagesRead, SectionFound, TypeFound, Warned
from rag_pipeline.ingest.types import Section, TextQuality, TextWarning


def test_a_whole_document_has_the_figures_of_the_worker() -> None:
    builder = DocumentBuilder()
    assert builder.is_empty
    builder.add(SectionFound("page 1", "text"))
    for count in (1, 2):
        builder.add(Warned("unreadable_page", "left out", count))
    document = builder.whole(Finished("application/pdf", 4, 0.0, 1, 0, {"title": "T"}))
    assert document.sections == (Section("text", "page 1"),)
    assert document.warnings == (TextWarning("unreadable_page", "left out", 2),)
    assert document.quality == TextQuality(4, 0.0, 1, 0)
    assert (document.mime_type, document.metadata) == ("application/pdf", {"title": "T"})


def test_a_part_says_how_many_pages_were_read() -> None:
    builder = DocumentBuilder()
    for sent in (TypeFound("application/pdf"), SectionFound("page 1", "text"), PagesRead(2, 619, 1)):
        builder.add(sent)
    document = builder.part("time_limit", "120 s")
    assert document.mime_type == "application/pdf"
    message = "only the first 2 of 619 pages were read within 120 s"
    assert document.warnings == (TextWarning("time_limit", message, 617),)
    assert document.quality == TextQuality(4, 0.0, 2, 1)


def test_a_part_without_pages_says_how_many_characters_were_read() -> None:
    builder = DocumentBuilder()
    builder.add(SectionFound("", "text"))
    (warning,) = builder.part("time_limit", "120 s").warnings
    assert warning.message == "only the first 4 characters were read within 120 s"


def test_a_part_that_is_garbage_is_refused() -> None:
    builder = DocumentBuilder()
    builder.add(SectionFound("", "\ufffd" * 9))
    with pytest.raises(UnreadableTextError):
        builder.part("time_limit", "120 s")


def test_the_warning_of_the_limit_is_never_left_out() -> None:
    builder = DocumentBuilder()
    builder.add(SectionFound("", "text"))
    for number in range(100):
        builder.add(Warned("x" * 100, f"{number}" * 200, 1))
    warnings = builder.part("time_limit", "1 s").warnings
    assert len(warnings) == 20
    assert warnings[-1].type == "time_limit"
    assert max(len(warning.message) for warning in warnings) <= 300
