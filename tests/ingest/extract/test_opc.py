"""Relationships between the parts of an Office file, including invalid ones."""

from __future__ import annotations

import posixpath
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.messages import Warned, WorkerMessage
from rag_pipeline.ingest.extract.opc import (
    Relationship,
    describe,
    main_part,
    parts_of_kind,
    read_part,
    read_parts,
    relationships,
)
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler
from rag_pipeline.ingest.extract.zip_archive import ZipArchive
from tests.ingest.extract.makers import input_file, make_zip

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def archive(**relations: str) -> ZipArchive:
    """Return an archive with the relationships of the file (``root``) and of the part word/document.xml."""
    names = {"root": "_rels/.rels", "document": "word/_rels/document.xml.rels"}
    parts = {names[key]: f'<Relationships xmlns="{PACKAGE}">{xml}</Relationships>' for key, xml in relations.items()}
    return ZipArchive(input_file(make_zip({"word/document.xml": "<d/>", **parts}), "a.docx"))


def relation(target: str, kind: str = "styles", key: str = "r1", more: str = "") -> str:
    return f'<Relationship Id="{key}" Type="{OFFICE}/{kind}" Target={quoteattr(target)} {more}/>'


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("styles.xml", "word/styles.xml"),
        ("./theme/theme1.xml", "word/theme/theme1.xml"),
        ("../customXml/item1.xml", "customXml/item1.xml"),
        ("/word/styles.xml", "word/styles.xml"),
        ("//word//styles.xml", "word/styles.xml"),
        ("../../../../etc/passwd", "etc/passwd"),
        ("stílus.xml", "word/stílus.xml"),
    ],
)
def test_a_target_is_relative_to_the_folder_of_its_part(target: str, part: str) -> None:
    related = relationships(archive(document=relation(target)), "word/document.xml")
    assert related == {"r1": Relationship("styles", part)}


@given(st.text(st.sampled_from("./ab\\:%"), max_size=20))
def test_no_target_leaves_the_archive(target: str) -> None:
    (relationship,) = relationships(archive(document=relation(target)), "word/document.xml").values()
    assert not relationship.part.startswith("/")
    assert ".." not in relationship.part.split("/")
    assert relationship.part == posixpath.normpath(relationship.part) or relationship.part == ""


def test_external_and_incomplete_relationships_are_ignored() -> None:
    xml = (
        relation("https://example.invalid/logo.png", "image", "r1", 'TargetMode="External"')
        + f'<Relationship Id="r2" Type="{OFFICE}/styles"/>'
        + '<Other Id="r3" Target="x.xml"/>'
        + relation("styles.xml", key="r4", more='TargetMode="Internal"')
        + '<Relationship Target="bare.xml"/>'
    )
    assert relationships(archive(document=xml), "word/document.xml") == {
        "r4": Relationship("styles", "word/styles.xml"),
        "": Relationship("", "word/bare.xml"),
    }


def test_a_part_without_relationships_has_none() -> None:
    assert relationships(archive(root=relation("a.xml")), "word/document.xml") == {}


def test_parts_of_a_kind_keep_their_order() -> None:
    xml = relation("b.xml", "header", "r1") + relation("s.xml", "styles", "r2") + relation("a.xml", "header", "r3")
    related = relationships(archive(document=xml), "word/document.xml")
    assert parts_of_kind(related, "header") == ["word/b.xml", "word/a.xml"]
    assert parts_of_kind(related, "head") == []


def test_the_relationships_name_the_main_part() -> None:
    xml = relation("docProps/core.xml", "core-properties", "r1") + relation("word/document.xml", "officeDocument", "r2")
    assert main_part(archive(root=xml)) == "word/document.xml"


def test_parts_are_found_in_any_case() -> None:
    files = archive(document=relation("STYLES.xml"), root=relation("styles.xml"))
    assert relationships(files, "word/document.xml")["r1"].part == "word/STYLES.xml"
    assert relationships(files, "WORD/document.xml")["r1"].kind == "styles"


def test_parts_that_can_be_done_without_are_warned_about() -> None:
    sent: list[WorkerMessage] = []
    writer = SectionWriter(sent.append, text_bytes=1000)
    files = archive(document="<Relationships>")
    assert not read_part(files, Relationship("notesSlide", "gone.xml"), XmlHandler(), writer)
    read_parts(files, {"a": Relationship("styles", "word/_rels/document.xml.rels")}, "styles", XmlHandler(), writer)
    messages = [message for message in sent if isinstance(message, Warned)]
    assert [message.type for message in messages] == ["missing_part", "damaged_part"]
    assert messages[0].message == "a part of the kind “notes slide” is missing from the file"


def test_properties_describe_the_document() -> None:
    core = "<core><title> Rules </title><creator>Ann</creator><lastModifiedBy>B</lastModifiedBy></core>"
    root = f"<R>{relation('core.xml', 'core-properties')}{relation('gone.xml', 'core-properties', 'r2')}</R>"
    writer = SectionWriter(lambda _: None, text_bytes=1000)
    describe(ZipArchive(input_file(make_zip({"_rels/.rels": root, "core.xml": core}), "a.docx")), writer)
    assert writer.metadata == {"title": "Rules", "author": "Ann"}


@pytest.mark.parametrize("relations", [{}, {"root": ""}, {"root": relation("docProps/core.xml", "core-properties")}])
def test_a_file_without_a_main_part_is_damaged(relations: dict[str, str]) -> None:
    with pytest.raises(CorruptFileError, match="no part of it is the document"):
        main_part(archive(**relations))


@pytest.mark.parametrize(
    "data", [b"", b"<Relationships>", b"\x00\xff", b'<!DOCTYPE r [<!ENTITY e "x">]><r>&e;</r>'], ids=repr
)
def test_a_file_with_damaged_relationships_is_damaged(data: bytes) -> None:
    damaged = ZipArchive(input_file(make_zip({"_rels/.rels": data}), "a.docx"))
    with pytest.raises(CorruptFileError):
        main_part(damaged)
