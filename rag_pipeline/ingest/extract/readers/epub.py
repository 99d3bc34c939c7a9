"""Read EPUB books: chapters of HTML, in reading order."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from io import BytesIO
from urllib.parse import unquote

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from rag_pipeline.ingest.extract.charset import decode_text
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.html import declared_charset, write_fragment
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_DESCRIPTIONS = {
    "title": "title",
    "creator": "author",
    "date": "date",
    "language": "language",
    "publisher": "publisher",
}
_CHAPTER_TYPES = ("application/xhtml+xml", "text/html")


class _AttributeValues(XmlHandler):
    """Collects the values of one attribute of one element."""

    def __init__(self, element: str, name: str) -> None:
        self.values: list[str] = []
        self._element = element
        self._name = name

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == self._element and (value := attribute(attributes, self._name)):
            self.values.append(value)


class _Package(XmlHandler):
    """Collects the chapters in reading order, and what the book says about itself."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.spine: list[str] = []
        self.descriptions: dict[str, str] = {}
        self._described = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "item" and attribute(attributes, "media-type") in _CHAPTER_TYPES:
            self.items[attribute(attributes, "id") or ""] = attribute(attributes, "href") or ""
        elif name == "itemref":
            self.spine.append(attribute(attributes, "idref") or "")
        self._described = _DESCRIPTIONS.get(name, "")

    def end(self, _name: str) -> None:
        self._described = ""

    def text(self, text: str) -> None:
        if self._described:
            self.descriptions[self._described] = self.descriptions.get(self._described, "") + text


def _attribute_values(archive: ZipArchive, part: str, element: str, name: str) -> list[str]:
    if part not in archive.names:
        return []
    handler = _AttributeValues(element, name)
    parse_xml(BytesIO(archive.read(part)), handler)
    return handler.values


def read_epub(file: InputFile, writer: SectionWriter) -> None:
    """Read an EPUB file; locators are paths of headings."""
    archive = ZipArchive(file)
    packages = _attribute_values(archive, "META-INF/container.xml", "rootfile", "full-path")
    if not packages:
        raise CorruptFileError("it names no package document")
    package = _Package()
    parse_xml(BytesIO(archive.read(packages[0])), package)
    for key, value in package.descriptions.items():
        writer.describe(key, value)
    folder = posixpath.dirname(packages[0])
    chapters = [
        posixpath.normpath(posixpath.join(folder, unquote(package.items[identifier])))
        for identifier in package.spine
        if identifier in package.items
    ]
    # Free books may have obfuscated fonts. Encrypted chapters mean copy protection.
    if set(chapters) & set(_attribute_values(archive, "META-INF/encryption.xml", "CipherReference", "URI")):
        raise EncryptedFileError("is encrypted; its chapters are copy protected")
    for number, chapter in enumerate(chapters, start=1):
        writer.section("")
        if chapter not in archive.names:
            writer.warn("missing_part", f"chapter {number} is missing from the file")
            continue
        data = archive.read(chapter)
        write_fragment(decode_text(data, declared_charset(data[:4096])).lstrip("\ufeff"), writer)
        writer.progress(number / len(chapters))
