"""Compares the built-in model with the published one.

reference_vectors.npy holds the results of torch 2.13 and transformers for reference_texts.json:
AutoModel and AutoTokenizer of all-MiniLM-L6-v2, padding, truncation at 256 tokens, last_hidden_state averaged over the
attention mask, torch.nn.functional.normalize.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.local_model import LocalEmbedder
from rag_pipeline.ingest.embed.model_files import find_model
from rag_pipeline.ingest.embedding_options import Precision, Prefixes
from rag_pipeline.ingest.types import Stopped

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def embedder() -> Iterator[LocalEmbedder]:
    embedder = LocalEmbedder(threads=2)
    yield embedder
    embedder.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with links to the model's files, of which a test can damage one."""
    for file in find_model().iterdir():
        if file.is_file():
            (tmp_path / file.name).symlink_to(file)
    return tmp_path


def rewrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_vectors_equal_those_of_the_published_model(embedder: LocalEmbedder) -> None:
    texts = json.loads((HERE / "reference_texts.json").read_text("utf-8"))
    expected = np.load(HERE / "reference_vectors.npy")
    vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), embedder.dimensions) == expected.shape
    assert np.sum(vectors * expected, axis=1).min() >= 0.97
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_in_float32_they_are_equal_to_five_places(embedder: LocalEmbedder) -> None:
    exact = LocalEmbedder(threads=1, precision=Precision.FLOAT32)
    texts = json.loads((HERE / "reference_texts.json").read_text("utf-8"))
    np.testing.assert_allclose(exact.embed(texts), np.load(HERE / "reference_vectors.npy"), atol=1e-5)
    assert exact.model_id == embedder.model_id
    exact.close()


def test_the_vector_of_a_text_does_not_depend_on_the_other_texts(embedder: LocalEmbedder) -> None:
    texts = [f"sentence {i} " * (1 + i % 40) for i in range(30)]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts[:8]])
    np.testing.assert_allclose(together[:8], alone, atol=2e-6)


def test_the_end_of_a_long_text_changes_its_vector(embedder: LocalEmbedder) -> None:
    start = "word " * 400
    a, b = embedder.embed([start + "about the moon and the tides " * 30, start + "quarterly revenue in euros " * 30])
    assert float(a @ b) < 0.95


def test_an_empty_list_is_embedded(embedder: LocalEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


@pytest.mark.parametrize("text", ["", "\0" * 1000, "\ud800", "a" * 100_000, "é\u0301" * 5000, "🎉"])
def test_unusual_texts_have_unit_vectors(embedder: LocalEmbedder, text: str) -> None:
    assert np.linalg.norm(embedder.embed([text])[0]) == pytest.approx(1, abs=1e-5)


def test_progress_rises_to_one_and_can_stop_the_work(embedder: LocalEmbedder) -> None:
    seen: list[float] = []
    texts = ["some words here"] * 50
    embedder.embed(texts, on_progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 7
    assert seen[-1] == 1

    def stop(fraction: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        embedder.embed(texts, on_progress=stop)


def test_the_stop_event_ends_the_work() -> None:
    stop = threading.Event()
    embedder = LocalEmbedder(threads=1, stop=stop)
    with pytest.raises(Stopped):
        embedder.embed(["words"] * 100, on_progress=lambda _: stop.set())
    embedder.close()


def test_several_threads_get_the_same_vectors(embedder: LocalEmbedder) -> None:
    texts = [f"text number {i}" for i in range(20)]
    expected = embedder.embed(texts)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(embedder.embed(texts))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    for vectors in found:
        np.testing.assert_allclose(np.asarray(vectors), expected, atol=2e-6)


def test_embedding_after_close_is_an_error() -> None:
    embedder = LocalEmbedder(threads=1)
    embedder.close()
    embedder.close()
    with pytest.raises(EmbeddingError, match="closed"):
        embedder.embed(["a"])


def test_the_model_can_be_in_another_folder(copy: Path) -> None:
    embedder = LocalEmbedder(copy, threads=1)
    assert embedder.model_id == "all-MiniLM-L6-v2"
    embedder.close()


def test_prefixes_precede_questions_and_passages(copy: Path) -> None:
    config = {"prompts": {"query": "query: ", "passage": "passage: "}}
    rewrite(copy / "config_sentence_transformers.json", json.dumps(config).encode())
    own = LocalEmbedder(copy, threads=1, precision=Precision.FLOAT32)
    plain = LocalEmbedder(copy, threads=1, precision=Precision.FLOAT32, prefixes=Prefixes("", ""))
    question, passage = own.embed(["moon"], as_questions=True)[0], own.embed(["moon"])[0]
    assert np.allclose(question, plain.embed(["query: moon"])[0], atol=1e-6)
    assert np.allclose(passage, plain.embed(["passage: moon"])[0], atol=1e-6)
    assert (own.model_id, plain.model_id) == ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2 ''")
    own.close()
    plain.close()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"nowhere: (config|tokenizer)\.json is missing; EMBEDDING_MODEL_DIR"):
        LocalEmbedder(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00garbage" * 100])
def test_a_damaged_file_is_named_in_one_line(copy: Path, name: str, content: bytes) -> None:
    rewrite(copy / name, content)
    with pytest.raises(EmbeddingError) as caught:
        LocalEmbedder(copy)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_weights_are_rejected(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole = path.resolve()
    path.unlink()
    shutil.copyfile(whole, path)
    with path.open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(EmbeddingError, match="weights"):
        LocalEmbedder(copy)
