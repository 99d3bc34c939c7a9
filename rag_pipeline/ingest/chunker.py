"""Split documents into chunks that fit the embedding model, preferably between paragraphs, lines or sentences.

The text is read once, in blocks. Each block is tokenized as a whole, and each chunk ends at the best boundary within
its token limit. So time and memory are linear in the length of the text, whatever it contains.
"""

from __future__ import annotations

import re
import string
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from unicodedata import category

from rag_pipeline.ingest.embed.model_files import find_model, read_tokenizer
from rag_pipeline.ingest.headings import heading_path, one_line, readable_name
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.span_tokenizers import EstimatedSpanTokenizer, ModelSpanTokenizer, SpanTokenizer, TokenSpan
from rag_pipeline.ingest.types import Chunk, ExtractedDocument, ProgressCallback, Section, Stopped

MIN_TOKENS = 128
# Characters per tokenizer call: about 10,000 tokens, 4 ms.
BLOCK = 1 << 15
# White space that separates words for every tokenizer. Not ``\s``: it includes control characters, which BERT removes,
# joining the words around them.
_SPACE = r"[ \t\n\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
# A chunk ends after a match, best pattern first. Cut there, the pieces have exactly the tokens of the whole.
_BOUNDARIES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\n[ \t\r]*\n{_SPACE}*",
        rf"\n{_SPACE}*",
        rf"[.!?…。！？][\"'”’)\]]*{_SPACE}+|[。！？]",
        rf"{_SPACE}+",
    )
)
# The share of a full chunk after which each boundary is searched: lesser boundaries only near the end.
_SEARCH_FROM = (0.5, 0.7, 0.7, 0.9)
_WORD = re.compile(r"[^\W_]")
_LETTERS = re.compile(r"[^\W_]+")
_ENDS_WORD = re.compile(_SPACE)


class Chunker:
    """Splits documents into chunks of at most ``max_tokens`` tokens, special tokens not counted; thread-safe."""

    def __init__(self, tokenizer: SpanTokenizer, max_tokens: int, *, stop: threading.Event | None = None) -> None:
        """Require ``max_tokens`` of at least 128, so that every word fits."""
        if max_tokens < MIN_TOKENS:
            raise ValueError(f"max_tokens={max_tokens}: expected at least {MIN_TOKENS}")
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._stop = stop

    def chunk(self, document: ExtractedDocument, *, on_progress: ProgressCallback | None = None) -> list[Chunk]:
        """Return all chunks of the document; see :meth:`chunks`."""
        return list(self.chunks(document, on_progress=on_progress))

    def chunks(self, document: ExtractedDocument, *, on_progress: ProgressCallback | None = None) -> Iterator[Chunk]:
        """Yield the document's chunks in reading order, numbered from 0, a block of text at a time.

        Adjacent sections with the same locator are joined first; a chunk never spans two locators. Text without a
        letter or digit makes no chunk, since neither kind of search could find it. Each chunk has the document's name
        and title and the headings it is under, and fits the model together with them. Raises :class:`Stopped` when the
        stop event is set.
        """
        index = 0
        name, title = readable_name(document.name), one_line(document.metadata.get("title", ""))
        if _same(name, title):
            name = ""
        total = sum(len(section.text) for section in document.sections)
        done = 0
        for locator, group in groupby(document.sections, key=lambda section: section.locator):
            sections = list(group)
            headings = heading_path(locator)
            shown_title = "" if headings.startswith(title) else title  # HTML's title is its first heading, too
            head = Chunk("", locator, 0, shown_title, headings, name)
            most = self._most_tokens(head.embedded_text)
            for text, consumed in self._texts(_joined(sections), most):
                if text:
                    yield replace(head, text=text, index=index)
                    index += 1
                if consumed and on_progress is not None:
                    on_progress(min(1.0, (done + consumed) / total))
            done += sum(len(section.text) for section in sections)
        if on_progress is not None:
            on_progress(1.0)

    def _most_tokens(self, head: str) -> int:
        """Return the most tokens of a chunk: with the line above it, it should fit the model too."""
        used = len(self._tokenizer.spans(head)) if head else 0
        return max(min(MIN_TOKENS, self._max_tokens), self._max_tokens - used)

    def _texts(self, text: str, most: int) -> Iterator[tuple[str, int]]:
        """Yield pairs: a chunk's text and 0, or at the end of a block an empty text and the characters read so far."""
        at = 0
        while at < len(text):
            if self._stop is not None and self._stop.is_set():
                raise Stopped
            last = at + BLOCK >= len(text)
            # Tokenizers refuse lone surrogates. Each becomes one "?", so lengths stay.
            block = text[at : at + BLOCK].encode("utf-8", "replace").decode("utf-8")
            used = 0
            for start, end in self._cuts(block, last, most):
                piece = block[start:end].strip()
                used = end
                yield (piece if _WORD.search(piece) else ""), 0
            at += used
            yield "", at

    def _cuts(self, block: str, last: bool, most: int) -> Iterator[tuple[int, int]]:
        """Yield start and end of each chunk in the block. Unless ``last``, leave the rest for the next block."""
        spans = self._tokenizer.spans(block)
        ends = [end for _, end in spans]
        start = token = 0
        starts_in_word = False
        while start < len(block):
            if len(spans) - token > most:
                # The first token that no longer fits bounds the chunk.
                end = self._cut(block, start, spans, token, most)
            elif last or start == 0:  # the end of the text, or a whole block of few tokens
                end = len(block)
            else:
                return  # the rest may belong to a chunk with the text that follows
            if starts_in_word:
                end = self._cut_again(block, start, end, most)
            yield start, end
            starts_in_word = end < len(block) and not (
                _ENDS_WORD.match(block, end - 1) or _is_at_punctuation(block, end)
            )
            start, token = end, bisect_right(ends, end, token)

    def _cut_again(self, block: str, start: int, end: int, most: int) -> int:
        """Return the end of a chunk that starts inside a word: the rest of a word may have more tokens by itself."""
        piece = block[start:end]
        spans = self._tokenizer.spans(piece)
        return end if len(spans) <= most else start + self._cut(piece, 0, spans, 0, most)

    def _cut(self, block: str, start: int, spans: list[TokenSpan], token: int, most: int) -> int:
        limit = spans[token + most][0]
        for boundary, share in zip(_BOUNDARIES, _SEARCH_FROM, strict=True):
            low = max(start, spans[token + int(most * share)][0])
            best = 0
            for match in boundary.finditer(block, low, limit):
                best = match.end()
            if best > low:
                return best
        # No white space nearby: cut next to punctuation, or else anywhere in the endless word.
        for at in range(token + most, token, -1):
            end = spans[at][0]
            if end > start and _is_at_punctuation(block, end):
                return end
        return limit


def _same(name: str, title: str) -> bool:
    return "".join(_LETTERS.findall(name.casefold())) == "".join(_LETTERS.findall(title.casefold()))


def _is_at_punctuation(text: str, at: int) -> bool:
    return _is_punctuation(text[at - 1]) or _is_punctuation(text[at])


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or category(character).startswith("P")


def _joined(sections: list[Section]) -> str:
    if len(sections) == 1:
        return sections[0].text
    return "\n\n".join(section.text for section in sections)


def build_chunker(settings: IngestSettings, stop: threading.Event | None = None) -> Chunker:
    """Return a chunker that counts with the local model's tokenizer, or estimates for an embedding endpoint.

    Raises EmbeddingError if the local model is needed and not installed.
    """
    tokenizer: SpanTokenizer
    if settings.embedding_api_url is None:
        tokenizer = ModelSpanTokenizer(read_tokenizer(find_model(settings.embedding_model_dir)))
    else:
        tokenizer = EstimatedSpanTokenizer()
    return Chunker(tokenizer, settings.chunk_tokens, stop=stop)
