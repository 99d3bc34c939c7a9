"""Collect what a document in XML says about itself, such as its title and author."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.xml_parser import XmlHandler


class Properties(XmlHandler):
    """Collects the texts of elements by the keys that ``names`` gives them; of several with a key, the first."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.values: dict[str, str] = {}
        self._names = names
        self._key: str | None = None

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        """Start an element."""
        key = self._names.get(name)
        self._key = None if key in self.values else key

    def end(self, _name: str) -> None:
        """End an element."""
        self._key = None

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._key is not None:
            self.values[self._key] = self.values.get(self._key, "") + text
