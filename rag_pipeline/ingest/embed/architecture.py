"""Build the encoder of a folder's model: BERT and its kin from safetensors, any other model from ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.model_files import CONFIG, SAFETENSORS, find_onnx, read_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

SUPPORTED = "BERT, RoBERTa and XLM-RoBERTa as model.safetensors, and other models as model.onnx"
_BERT, _ROBERTA = ("bert",), ("roberta", "xlm-roberta")
_NUMBERS = ("hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
_FIXED = {"hidden_act": "gelu", "position_embedding_type": "absolute"}


class TokenEncoder(Protocol):
    """A model that turns token ids into vectors; safe under threads."""

    dimensions: int
    max_tokens: int
    """Special tokens included."""

    def encode(self, ids: Sequence[int]) -> Array:
        """Return a vector for each token, or a single 1-D vector for all."""
        ...


def load_encoder(folder: Path, *, eight_bits: bool) -> TokenEncoder:
    """Load the weights of the folder; ``eight_bits`` applies to safetensors, an ONNX model is run as it is.

    Raises EmbeddingError, which names the file, and for other architectures what is supported.
    """
    onnx = find_onnx(folder)
    if not (folder / SAFETENSORS).is_file():
        assert onnx is not None, "checked by find_model"
        return _load_onnx(onnx)
    config = read_json(folder / CONFIG)
    problem = _problem(config)
    if problem is None:
        return _load_bert(folder / SAFETENSORS, config, eight_bits)
    if onnx is not None:
        return _load_onnx(onnx)
    raise EmbeddingError(f"{folder / CONFIG}: {problem}; supported are {SUPPORTED}")


def _problem(config: dict[str, Any]) -> str | None:
    """Return why a model is not supported; None if it is."""
    if config.get("model_type") not in (*_BERT, *_ROBERTA):
        return f"model_type is {config.get('model_type')!r}"
    for key, expected in _FIXED.items():
        if config.get(key, expected) != expected:
            return f"{key} is {config[key]!r}"
    for key in _NUMBERS:
        value = config.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            return f"{key} is {value!r}"
    return None


def _load_bert(path: Path, config: dict[str, Any], eight_bits: bool) -> TokenEncoder:
    from safetensors.numpy import load_file

    from rag_pipeline.ingest.embed.bert import BertEncoder

    # Positions of RoBERTa begin behind that of the padding token.
    first = int(config.get("pad_token_id", 1)) + 1 if config["model_type"] in _ROBERTA else 0
    try:
        weights = load_file(path)
        if "embeddings.word_embeddings.weight" not in weights:  # a model with a head has a prefix
            weights = {name.removeprefix("bert.").removeprefix("roberta."): it for name, it in weights.items()}
        return BertEncoder(
            weights,
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            eight_bits=eight_bits,
            first_position=first,
        )
    except Exception as error:  # safetensors raises its own type besides OSError, KeyError and ValueError
        raise EmbeddingError(f"{path}: the weights can't be read ({type(error).__name__}: {error})") from error


def _load_onnx(path: Path) -> TokenEncoder:
    from rag_pipeline.ingest.embed.onnx_encoder import OnnxEncoder

    try:
        return OnnxEncoder(path)
    except EmbeddingError:
        raise
    except Exception as error:  # onnxruntime raises types of its own
        detail = " ".join(str(error).split())[:200]
        raise EmbeddingError(f"{path}: the model can't be loaded ({type(error).__name__}: {detail})") from error
