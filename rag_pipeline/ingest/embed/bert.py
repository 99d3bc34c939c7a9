"""The forward pass of a small BERT encoder, in numpy alone.

Sequences of different lengths are concatenated instead of padded. So the linear layers, which are nearly all of the
work, process real tokens only. Attention is computed for each sequence separately, so no mask is needed.

Every heavy step is one numpy call on a bounded block, and numpy releases the GIL during the call: other threads of the
process never wait for its arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

# Rows per step of the feed-forward part. The inner activations (rows x 1536 x 4 bytes) then fit into the L2 cache, and
# no BLAS call takes longer than a few milliseconds.
_BLOCK_ROWS = 128

# GELU(x) = x * normal_cdf(x), and the cdf's logit is x times an even function: 2 * atanh(erf(x / sqrt 2)) = x * P(x^2).
# P was fitted by iteratively reweighted least squares on [-6, 6] for the smallest maximum error of GELU itself, which
# is 3.4e-6 over all x in float32; P is positive everywhere, so tanh saturates the right way outside the interval.
# The coefficients are halved, because tanh takes half the logit; highest power first.
_GELU = tuple(np.float32(c / 2) for c in (2.2381639e-06, -6.1162004e-05, -2.4972332e-04, 7.2937588e-02, 1.59565628))


def twice_gelu(x: Array, scratch: Array) -> None:
    """Replace ``x`` by 2 * GELU(x) in place; ``scratch`` has the same shape."""
    square = np.multiply(x, x)
    np.multiply(square, _GELU[0], out=scratch)
    for coefficient in _GELU[1:-1]:
        scratch += coefficient
        scratch *= square
    scratch += _GELU[-1]
    scratch *= x
    np.tanh(scratch, out=scratch)
    scratch += np.float32(1)
    x *= scratch


def normalise(x: Array, gain: Array, bias: Array, epsilon: float) -> None:
    """Apply layer normalisation to the rows of ``x`` in place."""
    x -= x.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", x, x) / np.float32(x.shape[1])
    x *= (np.float32(1) / np.sqrt(variance + np.float32(epsilon)))[:, None]
    x *= gain
    x += bias


def attend(qkv: Array, heads: int, out: Array) -> None:
    """Write the self-attention of one sequence to ``out``: ``qkv`` is (tokens, 3 x hidden), queries already scaled."""
    tokens, width = qkv.shape
    split = qkv.reshape(tokens, 3, heads, width // 3 // heads)
    query, key, value = (split[:, i].transpose(1, 0, 2) for i in range(3))
    scores = np.matmul(query, key.transpose(0, 2, 1))
    scores -= scores.max(axis=2, keepdims=True)
    np.exp(scores, out=scores)
    total = scores.sum(axis=2, keepdims=True)
    context = np.matmul(scores, value)
    context /= total  # after the product: tokens x 32 divisions for each head instead of tokens x tokens
    out.reshape(tokens, heads, -1)[...] = context.transpose(1, 0, 2)


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one encoder layer, each matrix transposed to (in, out)."""

    qkv: Array
    qkv_bias: Array
    attention_out: Array
    attention_out_bias: Array
    attention_gain: Array
    attention_bias: Array
    inner: Array
    inner_bias: Array
    outer: Array
    outer_bias: Array
    output_gain: Array
    output_bias: Array


def _layer(weights: Mapping[str, Array], prefix: str, head_width: int) -> Layer:
    def pick(name: str) -> Array:
        return np.asarray(weights[prefix + name], np.float32)

    def matrix(name: str) -> Array:
        return np.ascontiguousarray(pick(name).T)

    scale = np.float32(head_width**-0.5)  # the scale of the scores, folded into the queries
    self_ = "attention.self."
    return Layer(
        qkv=np.concatenate(
            [matrix(self_ + "query.weight") * scale, matrix(self_ + "key.weight"), matrix(self_ + "value.weight")], 1
        ),
        qkv_bias=np.concatenate(
            [pick(self_ + "query.bias") * scale, pick(self_ + "key.bias"), pick(self_ + "value.bias")]
        ),
        attention_out=matrix("attention.output.dense.weight"),
        attention_out_bias=pick("attention.output.dense.bias"),
        attention_gain=pick("attention.output.LayerNorm.weight"),
        attention_bias=pick("attention.output.LayerNorm.bias"),
        inner=matrix("intermediate.dense.weight"),
        inner_bias=pick("intermediate.dense.bias"),
        outer=matrix("output.dense.weight") * np.float32(0.5),  # twice_gelu returns twice the value
        outer_bias=pick("output.dense.bias"),
        output_gain=pick("output.LayerNorm.weight"),
        output_bias=pick("output.LayerNorm.bias"),
    )


class BertEncoder:
    """A BERT encoder with mean pooling; it is immutable, so any number of threads may use it."""

    def __init__(self, weights: Mapping[str, Array], *, layers: int, heads: int, epsilon: float) -> None:
        """Take the tensors by their published names; raises KeyError for a missing one."""
        words = np.asarray(weights["embeddings.word_embeddings.weight"], np.float32)
        self.dimensions = int(words.shape[1])
        self._words = words
        # Every token has type 0, so its type vector is added to the positions.
        self._positions = np.asarray(
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0],
            np.float32,
        )
        self._gain = np.asarray(weights["embeddings.LayerNorm.weight"], np.float32)
        self._bias = np.asarray(weights["embeddings.LayerNorm.bias"], np.float32)
        self._heads = heads
        self._epsilon = epsilon
        head_width = self.dimensions // heads
        self._layers = [_layer(weights, f"encoder.layer.{i}.", head_width) for i in range(layers)]

    def encode(self, sequences: Sequence[Sequence[int]]) -> Array:
        """Return the mean of each sequence's token vectors: (len(sequences), dimensions), not normalised.

        A sequence holds token ids, special tokens included: at least one, at most as many as the model has positions.
        """
        lengths = [len(ids) for ids in sequences]
        ends = np.cumsum(lengths)
        spans = [slice(int(end) - length, int(end)) for end, length in zip(ends, lengths, strict=True)]
        hidden = self._words[np.concatenate([np.asarray(ids, np.int64) for ids in sequences])]
        for span, length in zip(spans, lengths, strict=True):
            hidden[span] += self._positions[:length]
        normalise(hidden, self._gain, self._bias, self._epsilon)
        for layer in self._layers:
            self._attention(hidden, spans, layer)
            self._feed_forward(hidden, layer)
        return np.stack([hidden[span].mean(axis=0) for span in spans])

    def _attention(self, hidden: Array, spans: Sequence[slice], layer: Layer) -> None:
        context = np.empty_like(hidden)
        for span in spans:
            qkv = hidden[span] @ layer.qkv
            qkv += layer.qkv_bias
            attend(qkv, self._heads, context[span])
            projected = context[span] @ layer.attention_out
            projected += layer.attention_out_bias
            hidden[span] += projected
        normalise(hidden, layer.attention_gain, layer.attention_bias, self._epsilon)

    def _feed_forward(self, hidden: Array, layer: Layer) -> None:
        for start in range(0, len(hidden), _BLOCK_ROWS):
            rows = hidden[start : start + _BLOCK_ROWS]
            inner = rows @ layer.inner
            inner += layer.inner_bias
            twice_gelu(inner, np.empty_like(inner))
            outer = inner @ layer.outer
            outer += layer.outer_bias
            rows += outer
            normalise(rows, layer.output_gain, layer.output_bias, self._epsilon)
