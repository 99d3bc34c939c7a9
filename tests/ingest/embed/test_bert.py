"""Compares the forward pass with a plain reference: padded, masked, in float64, with the exact erf.

test_minilm.py compares it to the published model. Here the weights are small and random, so that every part matters.
"""

from __future__ import annotations

import threading
from math import erf, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_pipeline.ingest.embed.bert import BertEncoder, attend, normalise, twice_gelu

HIDDEN, INNER, HEADS, LAYERS, WORDS, POSITIONS = 12, 20, 3, 2, 40, 300
EPSILON = 1e-6

Weights = dict[str, NDArray[np.float32]]


def make_weights(seed: int = 1) -> Weights:
    """Return random tensors with the published names; biases and gains are far from 0 and 1."""
    random = np.random.default_rng(seed)

    def make(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, 0.6, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": make(WORDS, HIDDEN),
        "embeddings.position_embeddings.weight": make(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": make(2, HIDDEN),
        "embeddings.LayerNorm.weight": make(HIDDEN),
        "embeddings.LayerNorm.bias": make(HIDDEN),
    }
    shapes = {
        "attention.self.query": (HIDDEN, HIDDEN),
        "attention.self.key": (HIDDEN, HIDDEN),
        "attention.self.value": (HIDDEN, HIDDEN),
        "attention.output.dense": (HIDDEN, HIDDEN),
        "attention.output.LayerNorm": (HIDDEN,),
        "intermediate.dense": (INNER, HIDDEN),
        "output.dense": (HIDDEN, INNER),
        "output.LayerNorm": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            weights[f"encoder.layer.{layer}.{name}.weight"] = make(*shape)
            weights[f"encoder.layer.{layer}.{name}.bias"] = make(shape[0])
    return weights


def plain_norm(x: NDArray[np.float64], weights: Weights, name: str) -> NDArray[np.float64]:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(x.var(-1, keepdims=True) + EPSILON)
    result: NDArray[np.float64] = scaled * weights[name + ".weight"] + weights[name + ".bias"]
    return result


def plain_encode(weights: Weights, sequences: list[list[int]]) -> NDArray[np.float64]:
    """Return the result of the paper's encoder, with sequences padded to one length and the padding masked."""
    longest = max(map(len, sequences))
    ids = np.array([ids + [0] * (longest - len(ids)) for ids in sequences])
    mask = np.array([[1] * len(ids) + [0] * (longest - len(ids)) for ids in sequences], float)
    x = weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x += weights["embeddings.position_embeddings.weight"][:longest]
    x += weights["embeddings.token_type_embeddings.weight"][0]
    x = plain_norm(x, weights, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."

        def linear(x: NDArray[np.float64], name: str, prefix: str = prefix) -> NDArray[np.float64]:
            result: NDArray[np.float64] = x @ weights[f"{prefix}{name}.weight"].T + weights[f"{prefix}{name}.bias"]
            return result

        def heads(x: NDArray[np.float64]) -> NDArray[np.float64]:
            return x.reshape(len(ids), longest, HEADS, HIDDEN // HEADS).transpose(0, 2, 1, 3)

        query, key, value = (heads(linear(x, f"attention.self.{name}")) for name in ("query", "key", "value"))
        scores = query @ key.transpose(0, 1, 3, 2) / sqrt(HIDDEN // HEADS) + (mask[:, None, None, :] - 1) * 1e9
        share = np.exp(scores - scores.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        context = (share @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        x = plain_norm(x + linear(context, "attention.output.dense"), weights, prefix + "attention.output.LayerNorm")
        inner = linear(x, "intermediate.dense")
        inner *= 0.5 * (1 + np.vectorize(erf)(inner / sqrt(2)))
        x = plain_norm(x + linear(inner, "output.dense"), weights, prefix + "output.LayerNorm")
    result: NDArray[np.float64] = (x * mask[..., None]).sum(1) / mask.sum(1)[:, None]
    return result


def make_encoder(weights: Weights) -> BertEncoder:
    return BertEncoder(weights, layers=LAYERS, heads=HEADS, epsilon=EPSILON)


def sequences_of(*lengths: int) -> list[list[int]]:
    random = np.random.default_rng(len(lengths))
    return [random.integers(0, WORDS, length).tolist() for length in lengths]


# Below, at and above the 128 rows of one feed-forward step, also with steps that end inside a sequence.
@pytest.mark.parametrize("lengths", [(1,), (5, 1, 9), (128,), (129,), (100, 100, 100), (POSITIONS, 2)])
def test_concatenated_sequences_equal_padded_and_masked_ones(lengths: tuple[int, ...]) -> None:
    weights = make_weights()
    sequences = sequences_of(*lengths)
    found = make_encoder(weights).encode(sequences)
    assert found.dtype == np.float32
    assert found.shape == (len(lengths), HIDDEN)
    np.testing.assert_allclose(found, plain_encode(weights, sequences), atol=1e-4)


def test_half_precision_weights_are_read_as_float32() -> None:
    halves: Weights = {name: tensor.astype(np.float16) for name, tensor in make_weights().items()}
    widened = {name: tensor.astype(np.float32) for name, tensor in halves.items()}
    found = make_encoder(halves).encode(sequences_of(7))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, make_encoder(widened).encode(sequences_of(7)), atol=2e-3)


def test_a_missing_tensor_is_named() -> None:
    weights = make_weights()
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(KeyError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        make_encoder(weights)


def test_encoding_does_not_change_the_weights() -> None:
    weights = make_weights()
    encoder = make_encoder(weights)
    first = encoder.encode(sequences_of(9, 4))
    assert np.array_equal(encoder.encode(sequences_of(9, 4)), first)
    assert all(np.array_equal(weights[name], tensor) for name, tensor in make_weights().items())


def test_threads_share_one_encoder() -> None:
    encoder = make_encoder(make_weights())
    batches = [sequences_of(*range(1, count + 2)) for count in range(6)]
    expected = [encoder.encode(batch) for batch in batches]
    found: dict[int, NDArray[np.float32]] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = encoder.encode(batches[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(np.array_equal(found[number], vectors) for number, vectors in enumerate(expected))


def test_gelu_has_an_error_below_four_millionths() -> None:
    x = np.linspace(-30, 30, 60_001, dtype=np.float32)
    exact = np.array([v * 0.5 * (1 + erf(v / sqrt(2))) for v in x.tolist()])
    twice_gelu(x, np.empty_like(x))
    assert np.abs(x / 2 - exact).max() < 4e-6


def test_large_scores_do_not_overflow() -> None:
    """exp(1000) overflows in any float type, and warnings are errors here."""
    qkv = np.full((4, 3 * HIDDEN), 100, np.float32)
    out = np.empty((4, HIDDEN), np.float32)
    attend(qkv, HEADS, out)
    np.testing.assert_allclose(out, 100, rtol=1e-6)


def test_a_row_without_variance_becomes_the_bias() -> None:
    rows = np.full((2, HIDDEN), 7, np.float32)
    bias = np.arange(HIDDEN, dtype=np.float32)
    normalise(rows, np.ones(HIDDEN, np.float32), bias, 1e-12)
    assert np.array_equal(rows, np.stack([bias, bias]))
