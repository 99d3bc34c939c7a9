"""The default state folder is relative, so commands name the index they use when the working folder changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import ExitCode
from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.local_files.process import command

pytestmark = pytest.mark.slow

FAST = {"RAG_SETTLE_SECONDS": "0"}


@pytest.fixture
def api() -> Iterator[Endpoint]:
    with endpoint() as api:
        yield api


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A working folder with a folder of documents."""
    (tmp_path / "here" / "docs").mkdir(parents=True)
    (tmp_path / "here" / "docs" / "a.txt").write_text("the heron stands in the reeds")
    return tmp_path / "here"


def new_index_line(here: Path, other: str = "--state-dir or STATUS_STATE_DIR") -> str:
    return f"a new index in {here / '.rag_pipeline'} ({other} names another state folder)"


def test_a_pipeline_names_its_new_index_once(here: Path, api: Endpoint) -> None:
    args = ["local-files", "docs", "--once", "--plain"]
    first = command(args, {**api.env, **FAST}, cwd=here)
    assert (first.returncode, first.stderr) == (ExitCode.OK, "")
    assert new_index_line(here) in first.stdout.splitlines()
    second = command(args, {**api.env, **FAST}, cwd=here)
    assert second.returncode == ExitCode.OK
    assert "a new index" not in second.stdout + second.stderr


def test_the_pipelines_of_a_run_file_name_their_new_index(here: Path, api: Endpoint) -> None:
    (here / "run.toml").write_text('[[pipeline]]\nkind = "local_files"\nid = "docs"\nfolder = "docs"\n')
    done = command(["run", "run.toml", "--once"], {**api.env, **FAST}, cwd=here)
    assert done.returncode == ExitCode.OK
    assert new_index_line(here, "state_dir in run.toml or STATUS_STATE_DIR") in done.stdout.splitlines()


def test_a_state_folder_that_was_set_is_not_mentioned(here: Path, api: Endpoint) -> None:
    env = {**api.env, **FAST, "STATUS_STATE_DIR": str(here / "state")}
    done = command(["local-files", "docs", "--once", "--plain"], env, cwd=here)
    assert done.returncode == ExitCode.OK
    assert "a new index" not in done.stdout + done.stderr


def test_a_search_in_another_folder_names_its_state_folder_and_how_to_set_another(
    here: Path, tmp_path: Path, api: Endpoint
) -> None:
    assert command(["local-files", "docs", "--once", "--plain"], {**api.env, **FAST}, cwd=here).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    missed = command(["search", "heron"], api.env, cwd=elsewhere)
    assert (missed.returncode, missed.stdout) == (ExitCode.STORE, "")
    assert missed.stderr == (
        f"rag-pipeline: error: nothing is stored in {elsewhere / '.rag_pipeline'} yet: "
        "run rag-pipeline local-files DIR first, or name another state folder by --state-dir or STATUS_STATE_DIR\n"
    )
    assert not (elsewhere / ".rag_pipeline").exists()
    assert "a.txt" in command(["search", "heron"], api.env, cwd=here).stdout
    found = command(["search", "heron", "--state-dir", str(here / ".rag_pipeline")], api.env, cwd=elsewhere)
    assert (found.returncode, "a.txt" in found.stdout) == (ExitCode.OK, True)


def test_a_search_without_hits_names_the_default_index(here: Path, api: Endpoint) -> None:
    args = ["local-files", "docs", "--once", "--plain"]
    assert command(args, {**api.env, **FAST}, cwd=here).returncode == 0
    (here / "docs" / "a.txt").unlink()
    assert command(args, {**api.env, **FAST}, cwd=here).returncode == 0
    done = command(["search", "heron"], api.env, cwd=here)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"Nothing found in {here / '.rag_pipeline'}.\n")
