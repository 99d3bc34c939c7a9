"""XML parsed as a stream; known attacks are refused."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml


class Recorder(XmlHandler):
    def __init__(self) -> None:
        self.events: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.events.append(f"<{name} {attribute(attributes, 'v')}>")

    def end(self, name: str) -> None:
        self.events.append(f"</{name}>")

    def text(self, text: str) -> None:
        self.events.append(text)


def events(xml: str) -> list[str]:
    recorder = Recorder()
    parse_xml(io.BytesIO(xml.encode()), recorder)
    return recorder.events


def test_element_names_have_no_namespace() -> None:
    assert events('<w:a xmlns:w="u" w:v="1"><b v="2">t&amp;t</b><c/></w:a>') == [
        *("<a 1>", "<b 2>", "t&t", "</b>", "<c None>", "</c>", "</a>"),
    ]


@pytest.mark.parametrize("xml", ["", "<a>", "<a></b>", "<a/><b/>", "words", "<a>&x;</a>", "<a v=1/>"])
def test_xml_that_is_not_well_formed_is_damaged(xml: str) -> None:
    with pytest.raises(CorruptFileError, match="not well formed"):
        events(xml)


@pytest.mark.parametrize("encoding", ["UTF-9", "shift_jis"])
def test_xml_in_an_encoding_that_expat_lacks_is_damaged(encoding: str) -> None:
    with pytest.raises(CorruptFileError, match="encoding that can't be read"):
        events(f'<?xml version="1.0" encoding="{encoding}"?><a/>')


def test_entity_declarations_are_refused() -> None:
    with pytest.raises(CorruptFileError, match="entities"):
        events('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>')


def test_external_entities_are_never_loaded() -> None:
    recorder = Recorder()
    xml = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    parse_xml(io.BytesIO(xml), recorder, allow_entities=True)
    assert recorder.events == ["<a None>", "</a>"]
