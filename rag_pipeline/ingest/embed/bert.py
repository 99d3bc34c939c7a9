"""The forward pass of a BERT encoder on onnxruntime, built from the published weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag_pipeline.ingest.embed.encoder_graph import RESULT, SOURCE, encoder_graph
from rag_pipeline.ingest.embed.session import open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]


class BertEncoder:
    """A BERT encoder; it is immutable, so any number of threads may use it, each on a core of its own.

    Sequences are encoded one by one. So nothing is padded, and 8-bit activations are scaled for each sequence: its
    vectors don't depend on the others. Batches are not faster, since a chunk has rows enough for the matrix products.
    """

    def __init__(
        self,
        weights: Mapping[str, Array],
        *,
        layers: int,
        heads: int,
        epsilon: float,
        eight_bits: bool = False,
        first_position: int = 0,
    ) -> None:
        """Take the tensors by their published names; raises KeyError for a missing one."""
        self._words = weights["embeddings.word_embeddings.weight"]
        self.dimensions = int(self._words.shape[1])
        # Every token has type 0, so its type vector is added to the positions.
        self._positions = np.asarray(
            weights["embeddings.position_embeddings.weight"][first_position:]
            + weights["embeddings.token_type_embeddings.weight"][0],
            np.float32,
        )
        self.max_tokens = len(self._positions)
        self._gain = np.asarray(weights["embeddings.LayerNorm.weight"], np.float32)
        self._bias = np.asarray(weights["embeddings.LayerNorm.bias"], np.float32)
        self._epsilon = epsilon
        graph = encoder_graph(weights, layers=layers, heads=heads, epsilon=epsilon, eight_bits=eight_bits)
        self._session = open_session(graph)

    def encode(self, ids: Sequence[int]) -> Array:
        """Return the vector of each token: (len(ids), dimensions). The ids include the special tokens."""
        hidden = np.asarray(self._words[np.asarray(ids, np.int64)], np.float32) + self._positions[: len(ids)]
        hidden -= hidden.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", hidden, hidden) / np.float32(self.dimensions)
        hidden *= (np.float32(1) / np.sqrt(variance + np.float32(self._epsilon)))[:, None]
        hidden *= self._gain
        hidden += self._bias
        encoded: Array = self._session.run([RESULT], {SOURCE: hidden[None]})[0][0]
        return encoded
