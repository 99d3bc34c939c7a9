"""What documents say about themselves."""

from __future__ import annotations

from io import BytesIO

from rag_pipeline.ingest.extract.document_properties import Properties
from rag_pipeline.ingest.extract.xml_parser import parse_xml


def test_the_first_text_of_each_key_is_kept() -> None:
    properties = Properties({"title": "title", "initial-creator": "author", "creator": "author"})
    authors = "<initial-creator>Ann</initial-creator><creator>Bob</creator>"
    data = f"<meta><title>Leave &amp; pay</title>{authors}<pages>3</pages></meta>"
    parse_xml(BytesIO(data.encode()), properties)
    assert properties.values == {"title": "Leave & pay", "author": "Ann"}
