"""Runs ``rag-pipeline store`` as a process: list, drop and compact."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from rag_pipeline.errors import ExitCode
from tests.cli.store.kept import DIMENSIONS, ENV, MODEL_ID, Kept, said
from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.local_files.process import command, environment, found, process

pytestmark = pytest.mark.slow


@pytest.fixture
def api() -> Iterator[Endpoint]:
    with endpoint() as api:
        yield api


@pytest.fixture
def two(kept: Kept) -> Kept:
    kept.follow("papers", kept.folder("papers", a="heron reeds", b="otter"))
    kept.follow("diary", kept.folder("diary", c="zzyzx"))
    return kept


def holding(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def error(text: str) -> str:
    return f"rag-pipeline: error: {text}\n"


def test_list_shows_each_pipeline_and_whether_its_folder_exists(two: Kept) -> None:
    shutil.rmtree(two.root / "diary")
    code, out, err = said(two.run("list"))
    assert (code, err) == (ExitCode.OK, "")
    title, _, header, diary, gone, papers = out.splitlines()
    assert title == f"{two.state / 'store'}: vectors of {MODEL_ID}, 8 dimensions"
    assert header.split() == ["PIPELINE", "FILES", "CHUNKS", "LAST", "CHANGE", "SOURCE"]
    assert [diary.split()[i] for i in (0, 1, 2, 5)] == ["diary", "1", "1", str(two.root / "diary")]
    assert gone == "  its folder is gone"
    assert [papers.split()[i] for i in (0, 1, 2, 5)] == ["papers", "2", "3", str(two.root / "papers")]


def test_list_as_json(two: Kept) -> None:
    code, out, err = said(two.run("list", "--json"))
    assert (code, err) == (ExitCode.OK, "")
    told = json.loads(out)
    diary, papers = told.pop("pipelines")
    assert told == {
        "store": str(two.state / "store"), "state_dir": str(two.state), "model_id": MODEL_ID, "dimensions": 8,
        "held_by": None,
    }  # fmt: skip
    changed = datetime.fromisoformat(papers.pop("changed_at"))
    assert abs((datetime.now(UTC) - changed).total_seconds()) < 600
    assert papers == {
        "id": "papers", "files": 2, "chunks": 3, "source": str(two.root / "papers"), "in_ledger": True,
        "folder_exists": True, "held_by": None, "remark": "",
    }  # fmt: skip
    assert diary["id"] == "diary"


@pytest.mark.parametrize("action", [["list"], ["check"], ["compact"], ["drop", "papers", "--yes"]])
def test_an_empty_store_is_named_and_nothing_is_created(tmp_path: Path, action: list[str]) -> None:
    done = command(["store", *action, "--state-dir", str(tmp_path / "none")], ENV)
    assert said(done) == (
        ExitCode.STORE,
        "",
        error(
            f"nothing is stored in {tmp_path / 'none'} yet: run rag-pipeline local-files DIR first, "
            "or name another state folder by --state-dir or STATUS_STATE_DIR"
        ),
    )
    assert not (tmp_path / "none").exists()


def test_drop_removes_one_pipeline_to_its_last_byte(two: Kept) -> None:
    assert holding(two.state / "store", b"zzyzx")
    code, out, err = said(two.run("drop", "diary", "--yes"))
    assert (code, err) == (ExitCode.OK, "")
    assert out == f"removed 1 file with 1 chunk of diary from {two.state / 'store'}\n"
    assert holding(two.state, b"zzyzx") == []
    told = json.loads(two.run("list", "--json").stdout)
    assert [(one["id"], one["files"], one["chunks"]) for one in told["pipelines"]] == [("papers", 2, 3)]
    assert said(two.run("check")) == (ExitCode.OK, "1 pipeline, 2 files, 3 chunks: all agrees\n", "")


def test_drop_of_an_unknown_id_lists_the_known_ones(two: Kept) -> None:
    code, out, err = said(two.run("drop", "dairy", "--yes"))
    assert (code, out) == (ExitCode.USAGE, "")
    assert err == error(f"{two.state / 'store'} has no pipeline 'dairy': there are 'diary', 'papers'")


def test_drop_without_a_terminal_requires_yes(two: Kept) -> None:
    code, out, err = said(two.run("drop", "diary"))
    assert (code, out) == (ExitCode.USAGE, "")
    what = f"1 file with 1 chunk of diary from {two.state / 'store'}"
    assert err == error(f"drop would remove {what}: give --yes to confirm it")
    assert two.open().files("diary")


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y\n", ExitCode.OK, 0), ("n\n", ExitCode.REFUSED, 1), ("\n", ExitCode.REFUSED, 1)]
)
def test_drop_asks_on_a_terminal(two: Kept, answer: str, code: ExitCode, left: int) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        done = subprocess.run(
            [sys.executable, "-m", "rag_pipeline", "store", "drop", "diary", "--state-dir", str(two.state)],
            env=environment(ENV), stdin=theirs, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code
    assert done.stderr.startswith(f"Remove 1 file with 1 chunk of diary from {two.state / 'store'}? [y/N] ")
    assert len(two.open().files("diary")) == left


def test_compact_shrinks_the_store_and_keeps_its_content(two: Kept) -> None:
    store = two.open()
    before = store.files("papers")
    for _ in range(5):
        two.follow("papers", two.root / "papers")
    files = len(list((two.state / "store").rglob("*")))
    code, out, err = said(two.run("compact"))
    assert (code, err) == (ExitCode.OK, "")
    assert out.startswith(f"{two.state / 'store'}: ")
    assert out.endswith(" kB now\n")
    assert len(list((two.state / "store").rglob("*"))) < files / 2
    assert store.files("papers") == before
    store.close()


def test_moved_and_copied_files_survive_a_compaction_and_are_dropped(two: Kept) -> None:
    folder = two.root / "papers"
    store = two.open()
    (folder / "a.txt").rename(folder / "moved.txt")
    shutil.copy(folder / "b.txt", folder / "copy.txt")
    sources = two.note("papers", folder)
    store.move("papers", "a.txt", sources["moved.txt"])
    store.copy("papers", "b.txt", sources["copy.txt"])
    (folder / "b.txt").unlink()
    two.note("papers", folder)
    store.delete("papers", "b.txt")
    agrees = (ExitCode.OK, "2 pipelines, 3 files, 4 chunks: all agrees\n", "")
    assert said(two.run("check")) == agrees
    assert two.run("compact").returncode == ExitCode.OK
    assert said(two.run("check")) == agrees
    question = np.ones(DIMENSIONS, np.float32)
    hits = store.search("", question, limit=10)
    assert sorted((hit.file_id, hit.text) for hit in hits) == [
        ("c.txt", "zzyzx"), ("copy.txt", "otter"), ("moved.txt", "heron"), ("moved.txt", "reeds")
    ]  # fmt: skip
    store.close()
    told = json.loads(two.run("list", "--json").stdout)
    assert [(one["id"], one["files"], one["chunks"]) for one in told["pipelines"]] == [
        ("diary", 1, 1),
        ("papers", 2, 3),
    ]
    assert two.run("drop", "papers", "--yes").stdout.startswith("removed 2 files with 3 chunks of papers from ")
    assert holding(two.state / "store", b"heron") == holding(two.state / "store", b"otter") == []
    assert said(two.run("check")) == (ExitCode.OK, "1 pipeline, 1 file, 1 chunk: all agrees\n", "")


def test_drop_and_compact_refuse_and_name_a_running_pipeline(kept: Kept, api: Endpoint) -> None:
    folder = kept.folder("papers", a="heron reeds")
    args, env = [str(folder), "--state-dir", str(kept.state)], {**api.env, "RAG_PIPELINE_ID": "papers"}
    kept.env = env
    with process(args, {**env, "RAG_SETTLE_SECONDS": "0"}) as running:
        running.wait(lambda state: state["status"] == "idle" and state["total_processed"] == 1)
        pid = running.popen.pid
        code, out, err = said(kept.run("drop", "papers", "--yes"))
        assert (code, out) == (ExitCode.STATE, "")
        assert err == error(f"the state folder {kept.state} is in use by process {pid}: stop it first")
        code, out, err = said(kept.run("compact"))
        assert (code, out) == (ExitCode.STATE, "")
        assert err == error(f"the state folder {kept.state} is in use by process {pid}")
        told = json.loads(kept.run("list", "--json").stdout)
        assert (told["held_by"], [one["files"] for one in told["pipelines"]]) == (str(pid), [1])
        assert f"\nin use by process {pid}\n" in kept.run("list").stdout
        assert running.end() == 0
    assert kept.run("drop", "papers", "--yes").returncode == ExitCode.OK
    assert found("heron", env, kept.state) == []
    # It is embedded again, since neither store nor ledger knows it.
    assert command(["local-files", *args, "--once"], env).returncode == ExitCode.OK
    assert len(found("heron", env, kept.state)) == 1


def test_a_store_of_another_model_is_listed_and_dropped(two: Kept) -> None:
    two.env = {**ENV, "EMBEDDING_API_MODEL": "another"}
    assert two.run("list").stdout.startswith(f"{two.state / 'store'}: vectors of {MODEL_ID}, ")
    assert two.run("drop", "diary", "--yes").returncode == ExitCode.OK


def test_a_damaged_ledger_is_one_line(two: Kept) -> None:
    for path in two.state.glob("ledger*"):
        path.write_bytes(b"x" * 5000)
    for action in (["list"], ["check"], ["drop", "diary", "--yes"]):
        code, out, err = said(two.run(*action))
        assert (code, out, err.count("\n")) == (ExitCode.STATE, "", 1)
        assert err.startswith(error(f"{two.state / 'ledger.sqlite3'} can't be read (")[:-1])
