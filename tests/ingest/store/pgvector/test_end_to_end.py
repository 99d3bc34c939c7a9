"""``rag-pipeline`` with a shared store: run, search, kill, and a server that restarts meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rag_pipeline.errors import ExitCode
from tests.ingest.store.postgres import PostgresServer
from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.local_files.process import command, found, process
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FILES = 40


@pytest.fixture
def api() -> Iterator[Endpoint]:
    with endpoint() as api:
        yield api


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(FILES):
        (folder / f"{n}.txt").write_text(f"the heron number{n} stands in the reeds\n\n" * 3)
    return folder


def env(api: Endpoint, server: PostgresServer, schema: str, pipeline_id: str) -> dict[str, str]:
    return {**api.env, "RAG_STORE_URL": server.url(schema=schema), "RAG_PIPELINE_ID": pipeline_id, "RUN_MODE": "single"}


def stored(server: PostgresServer, schema: str) -> int:
    try:
        [(count,)] = server.execute("SELECT count(*) FROM {}.files", schema)
    except psycopg.errors.UndefinedTable:
        return 0
    assert isinstance(count, int)
    return count


def wait_until_stored(server: PostgresServer, schema: str, least: int) -> None:
    wait_until(lambda: stored(server, schema) >= least)


def test_two_machines_share_a_store_and_a_search_finds_both(
    tmp_path: Path, folder: Path, api: Endpoint, postgres: PostgresServer, schema: str
) -> None:
    for name in ("one", "two"):
        state = tmp_path / name
        args = ["local-files", str(folder), "--state-dir", str(state), "--plain"]
        done = command(args, env(api, postgres, schema, name))
        assert done.returncode == 0, done.stdout + done.stderr
        assert not (state / "store").exists()
        assert "hush" not in done.stdout + done.stderr
    hits = found("number7 heron", env(api, postgres, schema, "three"), tmp_path / "three")
    assert hits[0]["name"] == "7.txt"
    assert sorted(hit["name"] for hit in hits) == sorted(2 * [f"{n}.txt" for n in range(FILES)])
    (folder / "7.txt").unlink()
    command(
        ["local-files", str(folder), "--state-dir", str(tmp_path / "two"), "--plain"], env(api, postgres, schema, "two")
    )
    assert stored(postgres, schema) == 2 * FILES - 1


def test_a_killed_run_resumes_with_nothing_lost_or_stored_twice(
    tmp_path: Path, folder: Path, api: Endpoint, postgres: PostgresServer, schema: str
) -> None:
    api.delay_seconds = 0.02
    args, variables = [str(folder), "--state-dir", str(tmp_path / "state"), "--plain"], env(api, postgres, schema, "p")
    for least in (3, 12):
        with process(args, variables) as running:
            wait_until_stored(postgres, schema, least)
            running.end(signal.SIGKILL)
    api.delay_seconds = 0
    assert command(["local-files", *args], variables).returncode == 0
    hits = found("heron", variables, tmp_path / "state")
    assert sorted(hit["name"] for hit in hits) == sorted(f"{n}.txt" for n in range(FILES))


def test_a_server_restart_fails_no_file(
    tmp_path: Path, folder: Path, api: Endpoint, own_postgres: PostgresServer
) -> None:
    api.delay_seconds = 0.02
    variables = env(api, own_postgres, "rag", "p")
    with process([str(folder), "--state-dir", str(tmp_path / "state"), "--plain"], variables) as running:
        for least in (3, 12):
            wait_until_stored(own_postgres, "rag", least)
            own_postgres.stop()
            own_postgres.start()
        assert running.popen.wait(60) == ExitCode.OK, running.output
    assert len(found("heron", variables, tmp_path / "state")) == FILES


def test_an_invalid_url_is_a_one_line_error(tmp_path: Path, folder: Path, api: Endpoint) -> None:
    variables = {**api.env, "RAG_STORE_URL": "postgresql://me:hush@db", "RAG_PIPELINE_ID": "p"}
    for args in (["local-files", str(folder), "--plain"], ["search", "heron"]):
        done = command([*args, "--state-dir", str(tmp_path / "state")], variables)
        assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
        assert done.stderr.startswith(
            "rag-pipeline: error: RAG_STORE_URL='postgresql://***': expected postgresql+psycopg://"
        )
        assert done.stderr.count("\n") == 1
        assert "hush" not in done.stderr


def test_a_search_of_an_empty_store_says_what_to_do(
    tmp_path: Path, api: Endpoint, postgres: PostgresServer, schema: str
) -> None:
    done = command(["search", "heron", "--state-dir", str(tmp_path)], env(api, postgres, schema, "p"))
    assert (done.returncode, done.stdout) == (ExitCode.STORE, "")
    at = f"postgresql://127.0.0.1:{postgres.port}/postgres?schema={schema}"
    assert (
        done.stderr == f"rag-pipeline: error: nothing is stored in {at} yet: run rag-pipeline local-files DIR first\n"
    )
