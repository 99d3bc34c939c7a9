"""Parse XML as a stream of elements, without keeping a tree in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol
from xml.parsers import expat

from rag_pipeline.errors import CorruptFileError, ExtractionLimitError

_BLOCK_BYTES = 1 << 16
_MAX_DEPTH = 2000
_ENCODING_ERROR = "encoding"  # a word in expat's messages for unknown and for multi-byte ones


class NotWellFormedError(CorruptFileError):
    """XML that breaks the rules at a byte ``offset`` of the stream."""

    offset: int = 0


class ByteStream(Protocol):
    """A stream of bytes, read in blocks."""

    def read(self, count: int, /) -> bytes:
        """Return up to ``count`` bytes; none at the end."""
        ...


class XmlHandler:
    """Receives elements and text. Element names come without namespace.

    Attribute names come with their namespace; use :func:`attribute` to look one up.
    """

    def start(self, name: str, attributes: Mapping[str, str], /) -> None:
        """Handle the start of an element."""

    def end(self, name: str, /) -> None:
        """Handle the end of an element."""

    def text(self, text: str, /) -> None:
        """Handle a piece of text."""


def attribute(attributes: Mapping[str, str], name: str) -> str | None:
    """Return the value of the attribute with this local name, in any namespace; None if there is none."""
    if name in attributes:
        return attributes[name]
    suffix = " " + name
    return next((value for key, value in attributes.items() if key.endswith(suffix)), None)


def parse_xml(
    stream: ByteStream,
    handler: XmlHandler,
    *,
    on_block: Callable[[int], None] | None = None,
    allow_entities: bool = False,
    encoding: str | None = None,
    has_namespaces: bool = True,
) -> None:
    """Parse a stream and pass its elements to the handler.

    ``on_block`` receives the number of bytes read so far. Entity declarations are an error unless allowed, as office
    formats don't use them; external entities are never loaded. ``encoding`` overrides what the document declares.
    Without ``has_namespaces``, prefixes are parts of names and need no declaration.
    Raises NotWellFormedError, another CorruptFileError or ExtractionLimitError.
    """
    parser = expat.ParserCreate(encoding, namespace_separator=" " if has_namespaces else None)
    parser.buffer_text = True
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise CorruptFileError(f"its XML is nested deeper than {_MAX_DEPTH} elements")
        handler.start(name.rpartition(" ")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(name.rpartition(" ")[2])

    def refuse_entity(*_: object) -> None:
        raise CorruptFileError("its XML declares entities, which the format does not allow")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.text
    if not allow_entities:
        parser.EntityDeclHandler = refuse_entity
    done = 0
    try:
        while block := stream.read(_BLOCK_BYTES):
            parser.Parse(block, False)
            done += len(block)
            if on_block:
                on_block(done)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        if "amplification" in str(error):
            raise ExtractionLimitError("has XML entities that expand without limit") from error
        parser.buffer_text = False  # passes on the text before the fault
        damage = NotWellFormedError(f"its XML is not well formed ({error})")
        damage.offset = parser.ErrorByteIndex
        raise damage from error
    except (LookupError, ValueError) as error:
        if _ENCODING_ERROR not in str(error):
            raise
        raise CorruptFileError(f"its XML has an encoding that can't be read ({error})") from error
