"""Relationships between the parts of an Office Open XML file (docx, xlsx, pptx)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_PROPERTIES = {
    "title": "title", "creator": "author", "subject": "subject", "keywords": "keywords", "description": "description",
    "created": "created", "modified": "modified",
}  # fmt: skip
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Relationship:
    """A related part: its name, and the last word of the relationship's type, such as ``styles``."""

    kind: str
    part: str


class _Relationships(XmlHandler):
    def __init__(self, folder: str, archive: ZipArchive) -> None:
        self.found: dict[str, Relationship] = {}
        self._folder = folder
        self._archive = archive

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        target = attribute(attributes, "Target")
        if name != "Relationship" or target is None or attribute(attributes, "TargetMode") == "External":
            return
        part = posixpath.normpath(posixpath.join("/", self._folder, target)).lstrip("/")
        kind = (attribute(attributes, "Type") or "").rpartition("/")[2]
        self.found[attribute(attributes, "Id") or ""] = Relationship(kind, self._archive.resolve(part))


def relationships(archive: ZipArchive, part: str) -> dict[str, Relationship]:
    """Return the relationships of a part, by id; the part ``""`` stands for the whole file."""
    folder, name = posixpath.split(part)
    relations = archive.resolve(posixpath.join(folder, "_rels", name + ".rels"))
    if relations not in archive.names:
        return {}
    handler = _Relationships(folder, archive)
    parse_xml(BytesIO(archive.read(relations)), handler)
    return handler.found


def parts_of_kind(related: Mapping[str, Relationship], kind: str) -> list[str]:
    """Return the names of the related parts of a kind."""
    return [relation.part for relation in related.values() if relation.kind == kind]


def main_part(archive: ZipArchive) -> str:
    """Return the name of the main document part."""
    parts = parts_of_kind(relationships(archive, ""), "officeDocument")
    if not parts:
        raise CorruptFileError("no part of it is the document")
    return parts[0]


def read_part(archive: ZipArchive, relation: Relationship, handler: XmlHandler, writer: SectionWriter) -> bool:
    """Parse a part that the document can do without; if it is missing or damaged, warn and return False."""
    name = _WORD.sub(" ", relation.kind).lower()
    if relation.part not in archive.names:
        writer.warn("missing_part", f"a part of the kind “{name}” is missing from the file")
        return False
    try:
        parse_xml(archive.open(relation.part), handler)
    except CorruptFileError as error:
        writer.warn("damaged_part", f"a part of the kind “{name}” is damaged: {error}")
        return False
    return True


def read_parts(
    archive: ZipArchive, related: Mapping[str, Relationship], kind: str, handler: XmlHandler, writer: SectionWriter
) -> None:
    """Parse all related parts of a kind with :func:`read_part`."""
    for relation in related.values():
        if relation.kind == kind:
            read_part(archive, relation, handler, writer)


class _Properties(XmlHandler):
    """Collects the elements of a document's properties, such as its title and author."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._key: str | None = None

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._key = _PROPERTIES.get(name)

    def end(self, _name: str) -> None:
        self._key = None

    def text(self, text: str) -> None:
        if self._key is not None:
            self.values[self._key] = self.values.get(self._key, "") + text


def describe(archive: ZipArchive, writer: SectionWriter) -> None:
    """Keep the document's properties as metadata."""
    properties = _Properties()
    for relation in relationships(archive, "").values():
        if relation.kind == "core-properties" and relation.part in archive.names:
            read_part(archive, relation, properties, writer)
    for key, value in properties.values.items():
        writer.describe(key, value)
