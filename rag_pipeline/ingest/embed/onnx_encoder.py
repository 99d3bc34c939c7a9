"""Run a sentence model that was exported to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.session import open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# The best first: exports of sentence models have the pooled vector too, which is normalised already.
_OUTPUTS = ("sentence_embedding", "last_hidden_state", "token_embeddings")
_INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_DEFAULT_MAX_TOKENS = 512


class OnnxEncoder:
    """A model with the usual inputs: input_ids, attention_mask and token_type_ids, the latter two if it has them."""

    def __init__(self, path: Path) -> None:
        """Load the model, and encode a token to learn its dimensions; raises EmbeddingError or onnxruntime's own."""
        self._session = open_session(str(path))
        self._types = {item.name: item.type for item in self._session.get_inputs()}
        unknown = [name for name, kind in self._types.items() if name not in _INPUTS or kind not in _INTEGERS]
        if unknown or "input_ids" not in self._types:
            named = ", ".join(self._types)
            raise EmbeddingError(f"{path}: the inputs are {named}; expected are {', '.join(_INPUTS)}, as integers")
        outputs = [item.name for item in self._session.get_outputs()]
        self._output = next((name for name in _OUTPUTS if name in outputs), outputs[0])
        self.max_tokens = _DEFAULT_MAX_TOKENS
        self.dimensions = int(self.encode([0]).shape[-1])

    def encode(self, ids: Sequence[int]) -> Array:
        """Return a vector for each token, or a single 1-D vector if the model pools them itself."""
        values = {"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": [0] * len(ids)}
        feed = {name: np.asarray([values[name]], _INTEGERS[kind]) for name, kind in self._types.items()}
        return np.asarray(self._session.run([self._output], feed)[0][0], np.float32)
