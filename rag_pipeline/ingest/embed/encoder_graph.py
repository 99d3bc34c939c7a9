"""The layers of a BERT encoder as an ONNX graph of onnxruntime's fused operators, in float32 or with 8-bit weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rag_pipeline.ingest.embed.onnx_format import MICROSOFT, Node, model_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rag_pipeline.ingest.embed.onnx_format import Tensor

    Array = NDArray[np.float32]

SOURCE, RESULT = "embedded", "encoded"


def encoder_graph(weights: Mapping[str, Array], *, layers: int, heads: int, epsilon: float, eight_bits: bool) -> bytes:
    """Return the model: from embedded tokens (1, tokens, width) to encoded ones. Raises KeyError for a missing tensor.

    With ``eight_bits``, each column of a weight has its own scale, and activations are quantised for each sequence.
    """
    graph = _GraphBuilder(weights, heads, epsilon, eight_bits)
    value = SOURCE
    for layer in range(layers):
        value = graph.add_layer(f"encoder.layer.{layer}.", value, RESULT if layer == layers - 1 else f"layer_{layer}")
    width = weights["encoder.layer.0.attention.output.dense.weight"].shape[0]
    return model_bytes(graph.nodes, graph.tensors, SOURCE, RESULT, width)


class _GraphBuilder:
    def __init__(self, weights: Mapping[str, Array], heads: int, epsilon: float, eight_bits: bool) -> None:
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self._weights = weights
        self._heads = heads
        self._epsilon = epsilon
        self._eight_bits = eight_bits

    def add_layer(self, prefix: str, value: str, result: str) -> str:
        """Append a layer that reads ``value``; return ``result``."""
        attended = self._attention(prefix, value)
        projected = self._linear(prefix + "attention.output.dense", attended)
        middle = self._add_and_normalise(prefix + "attention.output", value, projected, prefix + "middle")
        inner = self._linear(prefix + "intermediate.dense", middle)
        bias = self._float(prefix + "intermediate.dense.bias")
        activated = self._add("BiasGelu", [inner, bias], prefix + "activated")
        outer = self._linear(prefix + "output.dense", activated)
        return self._add_and_normalise(prefix + "output", middle, outer, result)

    def _attention(self, prefix: str, value: str) -> str:
        names = [f"{prefix}attention.self.{name}" for name in ("query", "key", "value")]
        matrix = np.concatenate([self._weights[name + ".weight"].T for name in names], 1)
        bias = self._float(prefix + "qkv.bias", np.concatenate([self._weights[name + ".bias"] for name in names]))
        out, heads = prefix + "attended", {"num_heads": self._heads}
        if not self._eight_bits:
            return self._add("Attention", [value, self._float(prefix + "qkv", matrix), bias], out, **heads)
        weight, scale, zero = self._quantised(prefix + "qkv", matrix)
        source = [prefix + name for name in ("quantised", "scale", "zero")]
        self.nodes.append(Node("DynamicQuantizeLinear", [value], source))
        inputs = [source[0], weight, bias, source[1], scale, "", source[2], zero]
        return self._add("QAttention", inputs, out, **heads)

    def _linear(self, name: str, value: str) -> str:
        """Multiply by a weight; its bias is left to the next operator."""
        matrix, out = self._weights[name + ".weight"].T, name + ".product"
        if self._eight_bits:
            return self._add("DynamicQuantizeMatMul", [value, *self._quantised(name, matrix)], out)
        self.nodes.append(Node("MatMul", [value, self._float(name, matrix)], [out]))
        return out

    def _add_and_normalise(self, name: str, value: str, product: str, out: str) -> str:
        inputs = [value, product, *(self._float(f"{name}.{part}") for part in _NORM_PARTS)]
        return self._add("SkipLayerNormalization", inputs, out, epsilon=self._epsilon)

    def _add(self, operator: str, inputs: list[str], out: str, **attributes: float) -> str:
        self.nodes.append(Node(operator, inputs, [out], attributes, MICROSOFT))
        return out

    def _float(self, name: str, tensor: Array | None = None) -> str:
        self.tensors[name] = np.ascontiguousarray(self._weights[name] if tensor is None else tensor, np.float32)
        return name

    def _quantised(self, name: str, matrix: Array) -> list[str]:
        """Store a weight as int8 with a scale for each column; return the names of weight, scales and zero points."""
        scales = (np.abs(matrix).max(axis=0) / np.float32(127)).astype(np.float32)
        scales[scales == 0] = 1
        self.tensors[name] = np.ascontiguousarray(np.rint(matrix / scales).astype(np.int8))
        self.tensors[name + ".scale"] = scales
        self.tensors[name + ".zero"] = np.zeros(len(scales), np.int8)
        return [name, name + ".scale", name + ".zero"]


_NORM_PARTS = ("LayerNorm.weight", "LayerNorm.bias", "dense.bias")
