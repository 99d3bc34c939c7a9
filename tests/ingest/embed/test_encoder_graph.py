"""The graph of the encoder's layers; test_bert.py compares its results."""

from __future__ import annotations

from rag_pipeline.ingest.embed.encoder_graph import encoder_graph
from tests.ingest.embed.test_bert import EPSILON, HEADS, LAYERS, make_weights


def test_eight_bit_weights_take_less_space() -> None:
    exact, rounded = (
        encoder_graph(make_weights(), layers=LAYERS, heads=HEADS, epsilon=EPSILON, eight_bits=bits)
        for bits in (False, True)
    )
    assert b"QAttention" in rounded
    assert b"QAttention" not in exact
    assert len(rounded) < len(exact)
