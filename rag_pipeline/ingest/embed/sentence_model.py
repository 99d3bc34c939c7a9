"""A sentence model: its encoder and tokenizer, and how its folder says that texts are prepared and pooled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.architecture import TokenEncoder, load_encoder
from rag_pipeline.ingest.embed.model_files import CONFIG, SAFETENSORS, find_model, find_onnx, read_json, read_tokenizer
from rag_pipeline.ingest.embedding_options import NO_PREFIXES, Prefixes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from rag_pipeline.ingest.types import Vectors

MODEL_ID = "all-MiniLM-L6-v2"
_WEIGHTS_HASH = "e585032ec5852803"
_READ_BYTES = 1 << 22
_UNKNOWN = frozenset({"[UNK]", "<unk>"})
_LEAST_LETTERS = 2
"""The least mean number of letters and digits in the tokens of an English question."""
# The layers of a sentence model besides the encoder. Others, such as Dense, would change its vectors.
_LAYERS = ("Transformer", "Pooling", "Normalize")


class Pooling(StrEnum):
    """How the vectors of tokens become that of the text: their mean, or the vector of the first token."""

    MEAN = "mean"
    CLS = "cls"


@dataclass(frozen=True, slots=True)
class SentenceModel:
    """A loaded sentence model. ``start`` and ``end`` are the special tokens around a text."""

    model_id: str
    tokenizer: Tokenizer
    encoder: TokenEncoder
    pooling: Pooling
    start: int
    end: int
    max_tokens: int
    question_prefix: str
    passage_prefix: str

    def knows(self, question: str) -> bool:
        """Return whether the model can tell a question from others: its tokens are known, and mostly more than letters.

        The installed model was trained on English. It has tokens for single letters of other scripts, and cuts words
        that are none into a letter or two.
        """
        tokens = self.tokenizer.encode(question, add_special_tokens=False).tokens
        unknown = sum(token in _UNKNOWN for token in tokens)
        if self.model_id != MODEL_ID:
            return 2 * unknown < len(tokens) or not tokens
        lengths = [sum(map(str.isalnum, token)) for token in tokens if token not in _UNKNOWN]
        pieces = unknown + sum(length > 0 for length in lengths)
        return sum(lengths) >= _LEAST_LETTERS * pieces

    def vector(self, ids: Sequence[int]) -> Vectors:
        """Return the pooled vector of a text's tokens, special tokens not included; it is not normalised."""
        vectors = self.encoder.encode([self.start, *ids, self.end])
        if vectors.ndim == 1:
            return vectors
        pooled: Vectors = vectors[0] if self.pooling is Pooling.CLS else vectors.mean(axis=0)
        return pooled


def load_sentence_model(
    model_dir: str | Path | None, *, eight_bits: bool, prefixes: Prefixes = NO_PREFIXES
) -> SentenceModel:
    """Load the installed model, or the one in ``model_dir``; raises EmbeddingError in one line."""
    folder = find_model(model_dir)
    tokenizer = read_tokenizer(folder)
    start, end = _special_tokens(folder, tokenizer)
    _check_layers(folder)
    encoder = load_encoder(folder, eight_bits=eight_bits)
    own = _own_prefixes(folder)
    return SentenceModel(
        model_id(model_dir, prefixes),
        tokenizer,
        encoder,
        _pooling(folder),
        start,
        end,
        _max_tokens(folder, encoder),
        own.question if prefixes.question is None else prefixes.question,
        own.passage if prefixes.passage is None else prefixes.passage,
    )


def model_id(model_dir: str | Path | None, prefixes: Prefixes = NO_PREFIXES) -> str:
    """Return the name of the installed model, or of the one in ``model_dir``; raises EmbeddingError.

    The name of another model has a hash of its weights, because vectors of other weights can't be compared; so has it
    the prefix of passages if that is not the model's own. The precision makes no difference that matters.
    """
    folder = find_model(model_dir)
    name = MODEL_ID if model_dir is None else _name(folder)
    is_own = prefixes.passage is None or prefixes.passage == _own_prefixes(folder).passage
    return name if is_own else f"{name} {prefixes.passage!r}"


def _special_tokens(folder: Path, tokenizer: Tokenizer) -> tuple[int, int]:
    ids = tokenizer.encode("", add_special_tokens=True).ids
    if len(ids) != 2:
        raise EmbeddingError(f"{folder / 'tokenizer.json'}: expected a special token before and after a text")
    return ids[0], ids[1]


def _check_layers(folder: Path) -> None:
    path = folder / "modules.json"
    if not path.is_file():
        return
    try:
        types = [str(module["type"]).rpartition(".")[2] for module in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EmbeddingError(f"{path}: can't be read ({error})") from error
    for name in types:
        if name not in _LAYERS:
            raise EmbeddingError(f"{path}: layers of type {name} are not supported; supported are {', '.join(_LAYERS)}")


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _pooling(folder: Path) -> Pooling:
    path = folder / "1_Pooling" / CONFIG
    config = _optional(path)
    if isinstance(mode := config.get("pooling_mode"), str):
        modes = [mode]
    else:
        modes = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    names = {"pooling_mode_mean_tokens": Pooling.MEAN, "mean": Pooling.MEAN, "pooling_mode_cls_token": Pooling.CLS}
    known = {**names, "cls": Pooling.CLS}
    if len(modes) > 1 or any(mode not in known for mode in modes):
        raise EmbeddingError(f"{path}: {' and '.join(modes)} is not supported; supported are mean and cls")
    return known[modes[0]] if modes else Pooling.MEAN


@dataclass(frozen=True, slots=True)
class _OwnPrefixes:
    question: str
    passage: str


def _own_prefixes(folder: Path) -> _OwnPrefixes:
    prompts = _optional(folder / "config_sentence_transformers.json").get("prompts")
    if not isinstance(prompts, dict):
        return _OwnPrefixes("", "")
    texts = {name: text for name, text in prompts.items() if isinstance(text, str)}
    return _OwnPrefixes(texts.get("query", ""), texts.get("passage", texts.get("document", "")))


def _max_tokens(folder: Path, encoder: TokenEncoder) -> int:
    stated = _optional(folder / "sentence_bert_config.json").get("max_seq_length")
    limit = stated if isinstance(stated, int) and not isinstance(stated, bool) and stated > 2 else encoder.max_tokens
    return max(3, min(limit, encoder.max_tokens))


def _name(folder: Path) -> str:
    path = folder / SAFETENSORS if (folder / SAFETENSORS).is_file() else find_onnx(folder)
    assert path is not None, "checked by find_model"
    digest = blake2b(digest_size=8)
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    found = digest.hexdigest()
    return MODEL_ID if found == _WEIGHTS_HASH else f"{folder.resolve().name}@{found[:8]}"
