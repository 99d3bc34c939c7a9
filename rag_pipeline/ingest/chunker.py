"""Cuts documents into chunks that fit the embedding model, at paragraphs, lines and sentences where it can.

Text is read once, in blocks: a block is tokenized as a whole, and each chunk ends at the best boundary within the
tokens it may hold. Time and memory therefore grow with the length of the text alone, whatever is in it.
"""

from __future__ import annotations

import re
import string
import threading
from bisect import bisect_right
from collections.abc import Iterator
from itertools import groupby
from unicodedata import category

from rag_pipeline.ingest.embed.model_files import find_model, read_tokenizer
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.span_tokenizers import EstimatedSpanTokenizer, ModelSpanTokenizer, SpanTokenizer
from rag_pipeline.ingest.types import Chunk, ExtractedDocument, ProgressCallback, Section, Stopped

# Characters tokenized at once: some 10,000 tokens, 4 ms.
BLOCK = 1 << 15
# What ends a word for every tokenizer. Not ``\s``: that also has control characters, which BERT removes, joining words.
_SPACE = r"[ \t\n\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
# Where to end a chunk, best first: after the match. The parts then have the very tokens the whole had.
_BOUNDARIES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\n[ \t\r]*\n{_SPACE}*",
        rf"\n{_SPACE}*",
        rf"[.!?…。！？][\"'”’)\]]*{_SPACE}+|[。！？]",
        rf"{_SPACE}+",
    )
)
# A boundary is looked for in the last half of a full chunk, the lesser ones nearer to its end.
_SEARCHED = (0.5, 0.7, 0.7, 0.9)
_WORD = re.compile(r"[^\W_]")
_ENDS_WORD = re.compile(_SPACE)


class Chunker:
    """Makes chunks of at most ``max_tokens`` tokens, special ones not counted; safe under threads."""

    def __init__(self, tokens: SpanTokenizer, max_tokens: int, *, stop: threading.Event | None = None) -> None:
        """Count with ``tokens``; ``max_tokens`` is at least 128, so that every word fits."""
        if max_tokens < 128:
            raise ValueError(f"max_tokens={max_tokens}: expected at least 128")
        self._tokens = tokens
        self._max_tokens = max_tokens
        self._stop = stop

    def chunk(self, document: ExtractedDocument, *, on_progress: ProgressCallback | None = None) -> list[Chunk]:
        """Return the document's chunks at once; see :meth:`chunks`."""
        return list(self.chunks(document, on_progress=on_progress))

    def chunks(self, document: ExtractedDocument, *, on_progress: ProgressCallback | None = None) -> Iterator[Chunk]:
        """Yield the document's chunks in reading order, numbered from 0, a block of text at a time.

        Neighbouring sections of one place are joined first. A chunk never spans two places. Stretches without a
        letter or digit make no chunk: neither way of searching could find them. Raises :class:`Stopped` when the
        stop event is set.
        """
        index = 0
        total = sum(len(section.text) for section in document.sections)
        done = 0
        for locator, group in groupby(document.sections, key=lambda section: section.locator):
            sections = list(group)
            for text, consumed in self._texts(_joined(sections)):
                if text:
                    yield Chunk(text=text, locator=locator, index=index)
                    index += 1
                if consumed and on_progress is not None:
                    on_progress(min(1.0, (done + consumed) / total))
            done += sum(len(section.text) for section in sections)
        if on_progress is not None:
            on_progress(1.0)

    def _texts(self, text: str) -> Iterator[tuple[str, int]]:
        """Yield each chunk's text (or an empty one) and, at the end of a block, how far the text is read (or 0)."""
        at = 0
        while at < len(text):
            if self._stop is not None and self._stop.is_set():
                raise Stopped
            last = at + BLOCK >= len(text)
            # A lone surrogate, which no tokenizer takes, becomes one "?": lengths stay.
            block = text[at : at + BLOCK].encode("utf-8", "replace").decode("utf-8")
            used = 0
            for start, end in self._cuts(block, last):
                piece = block[start:end].strip()
                used = end
                yield (piece if _WORD.search(piece) else ""), 0
            at += used
            yield "", at

    def _cuts(self, block: str, last: bool) -> Iterator[tuple[int, int]]:
        """Yield start and end of each chunk in the block; without ``last`` the rest is left for the next block."""
        spans = self._tokens.spans(block)
        ends = [end for _, end in spans]
        start = token = 0
        is_torn = False
        while start < len(block):
            if len(spans) - token > self._max_tokens:
                # The first token that no longer fits bounds the chunk.
                end = self._cut(block, start, spans, token)
            elif last or start == 0:  # the end of the text, or a whole block with few tokens
                end = len(block)
            else:
                return  # the rest may belong with the text that follows
            if is_torn:
                end = self._cut_again(block, start, end)
            yield start, end
            is_torn = end < len(block) and not (_ENDS_WORD.match(block, end - 1) or _parts_words(block, end))
            start, token = end, bisect_right(ends, end, token)

    def _cut_again(self, block: str, start: int, end: int) -> int:
        """Return where a chunk ends that begins inside a word: the rest of a word may have more tokens by itself."""
        piece = block[start:end]
        spans = self._tokens.spans(piece)
        return end if len(spans) <= self._max_tokens else start + self._cut(piece, 0, spans, 0)

    def _cut(self, block: str, start: int, spans: list[tuple[int, int]], token: int) -> int:
        limit = spans[token + self._max_tokens][0]
        for boundary, share in zip(_BOUNDARIES, _SEARCHED, strict=True):
            low = max(start, spans[token + int(self._max_tokens * share)][0])
            best = 0
            for match in boundary.finditer(block, low, limit):
                best = match.end()
            if best > low:
                return best
        # No space near: between two tokens one of which is punctuation, or else anywhere, in one endless word.
        for at in range(token + self._max_tokens, token, -1):
            end = spans[at][0]
            if end > start and _parts_words(block, end):
                return end
        return limit


def _parts_words(text: str, at: int) -> bool:
    return _is_punctuation(text[at - 1]) or _is_punctuation(text[at])


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or category(character).startswith("P")


def _joined(sections: list[Section]) -> str:
    if len(sections) == 1:
        return sections[0].text
    return "\n\n".join(section.text for section in sections)


def build_chunker(settings: IngestSettings, stop: threading.Event | None = None) -> Chunker:
    """Return the chunker for the settings' embedder: with the model's tokenizer, or an estimate for an endpoint.

    Raises EmbeddingError where the embedded model is to be used and isn't installed.
    """
    tokens: SpanTokenizer
    if settings.embedding_api_url is None:
        tokens = ModelSpanTokenizer(read_tokenizer(find_model(settings.embedding_model_dir)))
    else:
        tokens = EstimatedSpanTokenizer()
    return Chunker(tokens, settings.chunk_tokens, stop=stop)
