"""Models in the ONNX format, as onnxruntime reads them."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipeline.ingest.embed.onnx_format import MICROSOFT, Node, model_bytes
from rag_pipeline.ingest.embed.session import open_session


@pytest.mark.parametrize("width", [3, 300])
def test_a_model_runs(width: int) -> None:
    weight = np.random.default_rng(1).normal(size=(width, width)).astype(np.float32)
    nodes = [Node("MatMul", ["x", "weight"], ["product"]), Node("Gelu", ["product"], ["y"], {}, MICROSOFT)]
    session = open_session(model_bytes(nodes, {"weight": weight}, "x", "y", width))
    assert [item.shape for item in session.get_inputs()] == [[1, "tokens", width]]
    found = session.run(["y"], {"x": np.ones((1, 2, width), np.float32)})[0]
    product = weight.sum(axis=0)
    assert found.shape == (1, 2, width)
    np.testing.assert_allclose(found[0, 0] / product, found[0, 1] / product)
    assert (np.abs(found[0, 0] - np.maximum(product, 0)) < 0.2).all()


def test_attributes_are_whole_numbers_or_floats() -> None:
    nodes = [
        Node("Softmax", ["x"], ["share"], {"axis": 1}),
        Node("LeakyRelu", ["share"], ["y"], {"alpha": 0.25}),
    ]
    session = open_session(model_bytes(nodes, {}, "x", "y", 2))
    found = session.run(["y"], {"x": np.zeros((1, 4, 2), np.float32)})[0]
    np.testing.assert_allclose(found, 0.25)
