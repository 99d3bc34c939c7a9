from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag_pipeline.cli import search
from rag_pipeline.errors import ConfigurationError, ExitCode, StoreError
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import Chunk, SearchHit, SourceFile
from tests.sources.endpoint import DIMENSIONS, endpoint, vector


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder with one stored file, and an endpoint that embeds questions."""
    with endpoint() as api:
        for key, value in api.env.items():
            monkeypatch.setenv(key, value)
        from rag_pipeline.ingest.embed.factory import build_embedder
        from rag_pipeline.ingest.settings import IngestSettings

        embedder = build_embedder(IngestSettings.from_env())
        store = LanceVectorStore(tmp_path / "store", embedder.model_id, DIMENSIONS)
        file = SourceFile("a", "a\x1b.md", "file:///a.md", "h", 1, "text/markdown", 0.0)
        texts = ["the heron stands in the reeds", "the otter swims"]
        vectors = np.array([vector(text) for text in texts], np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.replace("p", file, [([Chunk(text, "Birds", n) for n, text in enumerate(texts)], vectors)])
        store.close()
        embedder.close()
        yield tmp_path


def run(*args: str) -> int:
    parser = argparse.ArgumentParser()
    search.add_arguments(parser)
    return search.run(parser.parse_args(args))


@pytest.mark.slow
def test_answers_have_file_location_and_score(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("heron in the reeds", "--state-dir", str(state)) == 0
    head, text, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["1", "1.00", "a\\x1b.md", "·", "Birds"]
    assert re.search(r"words [0-9.]+, vector 0\.[0-9]{2}$", head)
    assert text.strip() == "the heron stands in the reeds"


def test_json_has_all_fields_and_the_limit_is_respected(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("the otter", "--json", "--limit", "1", "--state-dir", str(state)) == 0
    [hit] = json.loads(capsys.readouterr().out)
    assert hit["text"] == "the otter swims"
    assert hit.keys() == {
        "text", "file_id", "name", "uri", "place", "score", "words", "vector", "pipeline_id", "mime_type"
    }  # fmt: skip


@pytest.mark.parametrize("question", ["", "  ", "\n\t", "\u3000"])
def test_an_empty_question_is_a_usage_error(question: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the question is empty") as caught:
        run(question, "--state-dir", str(tmp_path))
    assert caught.value.exit_code is ExitCode.USAGE


def test_no_result_is_reported_and_is_no_error(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rag_pipeline.ingest.embed.factory import build_embedder
    from rag_pipeline.ingest.settings import IngestSettings

    embedder = build_embedder(IngestSettings.from_env())
    store = LanceVectorStore(state / "store", embedder.model_id, DIMENSIONS)
    store.delete("p", "a")
    store.close()
    embedder.close()
    assert run("heron", "--state-dir", str(state)) == 0
    assert capsys.readouterr() == ("", "Nothing found.\n")


def test_an_empty_store_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="run rag-pipeline local-files DIR first"):
        run("x", "--state-dir", str(tmp_path))


@pytest.mark.parametrize("limit", ["0", "101", "many", "-1"])
def test_a_bad_limit_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("x", f"--limit={limit}")
    assert "from 1 to 100" in capsys.readouterr().err


def test_long_answers_are_cut_and_fit_the_width() -> None:
    hit = SearchHit("word " * 500, "a", "a.md", "", "", 0.5)
    lines = search.as_text([hit], 60).splitlines()
    assert len(lines) == 5
    assert lines[-1].endswith(" …")
    assert max(map(len, lines)) <= 62


def test_control_characters_are_escaped() -> None:
    hit = SearchHit("a\x1b[2Jb", "a", "a\n\u202e.md", "", "page\x9b1", 0.5)
    head, text = search.as_text([hit], 60).split("\n")
    assert head.endswith("a\\n\\u202e.md  ·  page\\x9b1  ·  words 0.0, vector 0.00")
    assert text.strip() == "a\\x1b[2Jb"
