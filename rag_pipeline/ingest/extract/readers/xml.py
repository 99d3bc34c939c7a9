"""XML of any vocabulary: the text of its elements, by lines."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.markup import Handler, parse_xml
from rag_pipeline.ingest.extract.output import Output
from rag_pipeline.ingest.extract.source import Source


class _Text(Handler):
    """Writes each element's text on a line of its own; text of mixed content stays together."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def start(self, _name: str, attributes: Mapping[str, str]) -> None:
        for value in attributes.values():
            # Attributes with several words are prose, such as titles; the others are ids and numbers.
            if " " in value.strip() and "://" not in value:
                self._output.write(value + "\n")

    def text(self, text: str) -> None:
        if text.strip():
            self._output.write(text if text.endswith("\n") else text + "\n")


def read_xml(source: Source, output: Output) -> None:
    """Read an XML file; it has no places."""
    parse_xml(
        source.stream,
        _Text(output),
        on_block=lambda done: output.progress(done / source.size),
        allow_entities=True,
    )
