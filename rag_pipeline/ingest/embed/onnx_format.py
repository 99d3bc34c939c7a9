"""Write a model in the ONNX format: protocol buffers of the published schema, with the few fields that are needed here.

The ``onnx`` package writes them too. It takes 33 MB and a second to load, for what are two pages of code.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tensor = NDArray[np.generic]

MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's fused operators."""
_IR_VERSION, _OPSET, _MICROSOFT_OPSET = 8, 17, 1
_VARINT, _BYTES, _FLOAT = 0, 2, 5  # wire types
_DATA_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}


@dataclass(frozen=True, slots=True)
class Node:
    """An operator with the names of its inputs and outputs; ``domain`` is empty for the standard operators."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, float] = field(default_factory=dict)
    domain: str = ""


def model_bytes(nodes: Iterable[Node], weights: Mapping[str, Tensor], source: str, result: str, width: int) -> bytes:
    """Return a model with one input and one output, both float32 of shape (1, tokens, ``width``)."""
    graph = b"".join(
        [
            *(_bytes(1, _node(node)) for node in nodes),
            _text(2, "encoder"),
            *(_bytes(5, _tensor(name, tensor)) for name, tensor in weights.items()),
            _bytes(11, _value(source, width)),
            _bytes(12, _value(result, width)),
        ]
    )
    opsets = _bytes(8, _text(1, "") + _number(2, _OPSET)) + _bytes(
        8, _text(1, MICROSOFT) + _number(2, _MICROSOFT_OPSET)
    )
    return _number(1, _IR_VERSION) + opsets + _bytes(7, graph)


def _node(node: Node) -> bytes:
    inputs = b"".join(_text(1, name) for name in node.inputs)
    outputs = b"".join(_text(2, name) for name in node.outputs)
    attributes = b"".join(_bytes(5, _attribute(name, value)) for name, value in node.attributes.items())
    return inputs + outputs + _text(4, node.operator) + attributes + _text(7, node.domain)


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    return _text(1, name) + _tag(2, _FLOAT) + struct.pack("<f", value) + _number(20, 1)


def _tensor(name: str, tensor: Tensor) -> bytes:
    dimensions = b"".join(_number(1, size) for size in tensor.shape)
    return dimensions + _number(2, _DATA_TYPES[tensor.dtype.name]) + _text(8, name) + _bytes(9, tensor.tobytes())


def _value(name: str, width: int) -> bytes:
    shape = _bytes(1, _number(1, 1)) + _bytes(1, _text(2, "tokens")) + _bytes(1, _number(1, width))
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, _DATA_TYPES["float32"]) + _bytes(2, shape)))


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _number(number: int, value: int) -> bytes:
    return _tag(number, _VARINT) + _varint(value)


def _bytes(number: int, content: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
