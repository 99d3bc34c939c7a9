"""Models that are supported, and the line that names those that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.architecture import SUPPORTED, load_encoder
from tests.ingest.embed.test_bert import HEADS, HIDDEN, LAYERS, POSITIONS, WORDS, make_weights

CONFIG = {
    "model_type": "bert",
    "hidden_size": HIDDEN,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "vocab_size": WORDS,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
}


def write(folder: Path, prefix: str = "", changes: dict[str, object] | None = None) -> Path:
    save_file({prefix + name: tensor for name, tensor in make_weights().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**CONFIG, **(changes or {})}))
    return folder


def test_bert_and_its_kin_are_loaded(tmp_path: Path) -> None:
    plain = load_encoder(write(tmp_path), eight_bits=False)
    assert (plain.dimensions, plain.max_tokens) == (HIDDEN, POSITIONS)
    with_head = load_encoder(write(tmp_path, "bert."), eight_bits=False)
    assert (with_head.encode([1, 2]) == plain.encode([1, 2])).all()
    roberta = load_encoder(
        write(tmp_path, "roberta.", {"model_type": "xlm-roberta", "pad_token_id": 1}), eight_bits=True
    )
    assert roberta.max_tokens == POSITIONS - 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "mpnet"),
        ("model_type", None),
        ("hidden_act", "relu"),
        ("position_embedding_type", "relative_key"),
        ("num_hidden_layers", "6"),
        ("hidden_size", True),
    ],
)
def test_another_architecture_is_named_with_what_is_supported(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(EmbeddingError) as caught:
        load_encoder(write(tmp_path, changes={key: value}), eight_bits=False)
    assert str(caught.value) == f"{tmp_path / 'config.json'}: {key} is {value!r}; supported are {SUPPORTED}"


def test_a_damaged_onnx_model_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\xff\x00garbage")
    with pytest.raises(EmbeddingError, match=r"model\.onnx: the model can't be loaded") as caught:
        load_encoder(tmp_path, eight_bits=False)
    assert "\n" not in str(caught.value)
