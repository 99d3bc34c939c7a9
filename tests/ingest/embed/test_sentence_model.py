"""What a folder says about its model: pooling, prefixes, length, layers, and its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.model_files import find_model
from rag_pipeline.ingest.embed.sentence_model import MODEL_ID, Pooling, SentenceModel, load_sentence_model, model_id
from rag_pipeline.ingest.embedding_options import Prefixes

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with links to the installed model's three main files, and nothing else."""
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).symlink_to(find_model() / name)
    (tmp_path / "1_Pooling").mkdir()
    return tmp_path


def load(folder: Path, name: str, content: Any) -> SentenceModel:
    (folder / name).write_text(json.dumps(content))
    return load_sentence_model(folder, eight_bits=True)


def test_the_installed_model_says_how_it_is_used() -> None:
    model = load_sentence_model(None, eight_bits=True)
    assert (model.model_id, model.pooling, model.max_tokens) == (MODEL_ID, Pooling.MEAN, 256)
    assert (model.start, model.end, model.question_prefix) == (101, 102, "")
    assert model.vector([]).shape == (384,)


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, Pooling.CLS),
        ({"pooling_mode": "cls"}, Pooling.CLS),
        ({"pooling_mode": "mean"}, Pooling.MEAN),
        ({"pooling_mode_mean_tokens": True}, Pooling.MEAN),
    ],
)
def test_pooling_is_read(folder: Path, config: dict[str, object], pooling: Pooling) -> None:
    assert load(folder, "1_Pooling/config.json", config).pooling is pooling


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens is not supported"),
        (
            {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True},
            "max_tokens and pooling_mode_mean_tokens",
        ),
        ({"pooling_mode": "lasttoken"}, "lasttoken is not supported; supported are mean and cls"),
    ],
)
def test_other_pooling_is_named(folder: Path, config: dict[str, object], named: str) -> None:
    with pytest.raises(EmbeddingError, match=named):
        load(folder, "1_Pooling/config.json", config)


def test_without_a_stated_length_the_model_reads_all_its_positions(folder: Path) -> None:
    assert load_sentence_model(folder, eight_bits=True).max_tokens == 512
    assert load(folder, "sentence_bert_config.json", {"max_seq_length": 9999}).max_tokens == 512
    assert load(folder, "sentence_bert_config.json", {"max_seq_length": 128}).max_tokens == 128


def test_further_layers_are_named(folder: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"modules\.json: layers of type Dense are not supported"):
        load(folder, "modules.json", [{"type": "sentence_transformers.models.Dense"}])
    with pytest.raises(EmbeddingError, match=r"modules\.json: can't be read"):
        load(folder, "modules.json", [1])


def test_the_name_stands_for_the_weights_and_the_prefix_of_passages(folder: Path) -> None:
    assert model_id(None) == model_id(folder) == MODEL_ID
    assert model_id(folder, Prefixes(question="query: ")) == MODEL_ID
    assert model_id(folder, Prefixes(passage="passage: ")) == f"{MODEL_ID} 'passage: '"
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert model_id(folder).startswith(f"{folder.name}@")
