"""Compares the forward pass with a plain reference: padded, masked, in float64, with the exact erf.

test_local_model.py compares it to the published model. Here the weights are small and random: every part matters.
"""

from __future__ import annotations

import threading
from math import erf, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_pipeline.ingest.embed.bert import BertEncoder

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


def make_encoder(weights: Weights, *, eight_bits: bool = False, first_position: int = 0) -> BertEncoder:
    return BertEncoder(
        weights,
        layers=LAYERS,
        heads=HEADS,
        epsilon=EPSILON,
        eight_bits=eight_bits,
        first_position=first_position,
    )


def means(encoder: BertEncoder, sequences: list[list[int]]) -> NDArray[np.float32]:
    return np.stack([encoder.encode(ids).mean(axis=0) for ids in sequences])


def sequences_of(*lengths: int) -> list[list[int]]:
    random = np.random.default_rng(len(lengths))
    return [random.integers(0, WORDS, length).tolist() for length in lengths]


@pytest.mark.parametrize("length", [1, 2, 9, 128, POSITIONS])
def test_the_result_is_that_of_the_paper(length: int) -> None:
    weights = make_weights()
    sequences = sequences_of(length)
    encoder = make_encoder(weights)
    found = means(encoder, sequences)
    assert found.dtype == np.float32
    assert (encoder.dimensions, encoder.max_tokens) == (HIDDEN, POSITIONS)
    np.testing.assert_allclose(found, plain_encode(weights, sequences), atol=1e-4)


def test_eight_bits_are_close() -> None:
    weights = make_weights()
    exact, rounded = (make_encoder(weights, eight_bits=bits).encode(sequences_of(40)[0]) for bits in (False, True))
    cosines = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    assert 0.98 < cosines.mean() < 0.99999


def test_positions_can_begin_behind_that_of_the_padding() -> None:
    """RoBERTa's do."""
    weights = make_weights()
    shifted = {**weights}
    shifted["embeddings.position_embeddings.weight"] = weights["embeddings.position_embeddings.weight"][2:]
    encoder = make_encoder(weights, first_position=2)
    assert encoder.max_tokens == POSITIONS - 2
    assert np.array_equal(encoder.encode([1, 2, 3]), make_encoder(shifted).encode([1, 2, 3]))


def test_half_precision_weights_are_read_as_float32() -> None:
    halves: Weights = {name: tensor.astype(np.float16) for name, tensor in make_weights().items()}
    widened = {name: tensor.astype(np.float32) for name, tensor in halves.items()}
    found = make_encoder(halves).encode([1, 2, 3])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, make_encoder(widened).encode([1, 2, 3]), atol=2e-3)


def test_a_missing_tensor_is_named() -> None:
    weights = make_weights()
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(KeyError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        make_encoder(weights)


@pytest.mark.parametrize("eight_bits", [False, True])
def test_threads_share_one_encoder(eight_bits: bool) -> None:
    weights = make_weights()
    encoder = make_encoder(weights, eight_bits=eight_bits)
    sequences = sequences_of(*range(1, 7))
    expected = [encoder.encode(ids) for ids in sequences]
    found: dict[int, NDArray[np.float32]] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = encoder.encode(sequences[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(sequences))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(np.array_equal(found[number], vectors) for number, vectors in enumerate(expected))
    assert all(np.array_equal(weights[name], tensor) for name, tensor in make_weights().items())
