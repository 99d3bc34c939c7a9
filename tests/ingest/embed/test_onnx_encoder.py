"""Exported models, made here with the ``onnx`` package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.architecture import load_encoder

onnx = pytest.importorskip("onnx")

TABLE = np.arange(20, dtype=np.float32).reshape(5, 4)


def save(folder: Path, *, pooled: bool = False, integers: str = "INT64", source: str = "input_ids") -> Path:
    """Save a model that looks tokens up, and multiplies them by the attention mask."""
    helper, types = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Gather", ["table", source], ["looked_up"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=types.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "two"], ["column"]),
        helper.make_node("Mul", ["looked_up", "column"], ["last_hidden_state"]),
    ]
    outputs: list[Any] = [helper.make_tensor_value_info("last_hidden_state", types.FLOAT, ["n", "tokens", 4])]
    if pooled:
        nodes.append(helper.make_node("ReduceMax", ["last_hidden_state"], ["sentence_embedding"], axes=[1], keepdims=0))
        outputs.append(helper.make_tensor_value_info("sentence_embedding", types.FLOAT, ["n", 4]))
    inputs = [
        helper.make_tensor_value_info(name, getattr(types, integers), ["n", "tokens"])
        for name in (source, "attention_mask")
    ]
    constants = [
        onnx.numpy_helper.from_array(TABLE, "table"),
        onnx.numpy_helper.from_array(np.array([2], np.int64), "two"),
    ]
    graph = helper.make_graph(nodes, "test", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.mark.parametrize("integers", ["INT64", "INT32"])
def test_tokens_are_encoded(tmp_path: Path, integers: str) -> None:
    encoder = load_encoder(save(tmp_path, integers=integers), eight_bits=False)
    assert (encoder.dimensions, encoder.max_tokens) == (4, 512)
    assert np.array_equal(encoder.encode([3, 1]), TABLE[[3, 1]])


def test_a_pooled_vector_is_preferred(tmp_path: Path) -> None:
    assert load_encoder(save(tmp_path, pooled=True), eight_bits=False).encode([3, 1]).tolist() == TABLE[3].tolist()


def test_other_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        EmbeddingError, match=r"model\.onnx: the inputs are pixels, attention_mask; expected are input_ids"
    ):
        load_encoder(save(tmp_path, source="pixels"), eight_bits=False)
