"""Relationships between the parts of an Office Open XML file (docx, xlsx, pptx)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive


@dataclass(frozen=True, slots=True)
class Relationship:
    """A related part: its name, and the last word of the relationship's type, such as ``styles``."""

    kind: str
    part: str


class _Relationships(XmlHandler):
    def __init__(self, folder: str) -> None:
        self.found: dict[str, Relationship] = {}
        self._folder = folder

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        target = attribute(attributes, "Target")
        if name != "Relationship" or target is None or attribute(attributes, "TargetMode") == "External":
            return
        part = posixpath.normpath(posixpath.join("/", self._folder, target)).lstrip("/")
        kind = (attribute(attributes, "Type") or "").rpartition("/")[2]
        self.found[attribute(attributes, "Id") or ""] = Relationship(kind, part)


def relationships(archive: ZipArchive, part: str) -> dict[str, Relationship]:
    """Return the relationships of a part, by id; the part ``""`` stands for the whole file."""
    folder, name = posixpath.split(part)
    relations = posixpath.join(folder, "_rels", name + ".rels")
    if relations not in archive.names:
        return {}
    handler = _Relationships(folder)
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
