"""Charts and formulas embedded in OpenDocument files."""

from __future__ import annotations

from rag_pipeline.ingest.extract.messages import Warned, WorkerMessage
from rag_pipeline.ingest.extract.readers.opendocument_object import object_lines
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.zip_archive import ZipArchive
from tests.ingest.extract.makers import input_file, make_zip


def lines(xml: str, *, with_values: bool = True) -> tuple[list[str], list[str]]:
    sent: list[WorkerMessage] = []
    archive = ZipArchive(input_file(make_zip({"Object 1/content.xml": xml})))
    writer = SectionWriter(sent.append, text_bytes=1_000_000)
    found = object_lines(archive, "./Object 1", writer, with_values=with_values)
    return found, [message.type for message in sent if isinstance(message, Warned)]


def row(*cells: str) -> str:
    return f"<table-row>{''.join(f'<table-cell><p>{cell}</p></table-cell>' for cell in cells)}</table-row>"


CHART = (
    f"<chart><title><p>Sales</p></title><axis><title><p>Euro</p></title></axis><table>{row('', '2023', '2024')}"
    f"<table-row><table-cell><p>North</p><g><desc>A2</desc></g></table-cell><table-cell><p>5</p></table-cell><table-cell>"
    "<p>NaN</p></table-cell></table-row></table></chart>"
)


def test_charts_have_titles_and_rows() -> None:
    assert lines(CHART) == (["Sales", "Euro", "North | 2023: 5"], [])
    assert lines(CHART, with_values=False)[0] == ["Sales", "Euro", "2023 | 2024"]


def test_formulas_are_one_line() -> None:
    xml = "<math><mrow><mi>E</mi><mo>=</mo><mi>m</mi></mrow><annotation>E = m</annotation></math>"
    assert lines(xml)[0] == ["E=m"]


def test_a_damaged_object_is_a_warning_and_another_programs_is_none() -> None:
    assert lines("<chart>") == ([], ["damaged_part"])
    archive = ZipArchive(input_file(make_zip({"x": ""})))
    assert object_lines(archive, "../Object 9", SectionWriter(lambda _: None, text_bytes=10)) == []
