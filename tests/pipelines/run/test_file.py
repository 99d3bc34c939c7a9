"""Run files: what they say, what comes from elsewhere, and the one line for each mistake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipeline.config import RunMode
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.pipelines.run.file import MAX_PIPELINES, read_file
from tests.pipelines.run.files import FOLDER, problem, read, written

AN_ID = "a name of its own, 1 to 200 printable characters, by which the pipeline is known over restarts"
KEYS = "check_interval, delete_max_files, delete_max_percent, folder, id, kind, settle_seconds, workers"
TWO = f"""
[service]
host = "::1"
port = 9003
socket_port = 9100
state_dir = "state"

{FOLDER}id = "papers"
folder = "docs"
check_interval = 5
settle_seconds = 0.5
workers = 3

{FOLDER}id = "notes: all"
folder = "more/../notes"
"""


def test_a_file_names_pipelines_and_where_they_are_shown(tmp_path: Path) -> None:
    found = read(tmp_path, TWO)
    assert (found.host, found.port, found.socket_port) == ("::1", 9003, 9100)
    assert (found.state_dir, found.mode) == (tmp_path / "state", RunMode.CONTINUOUS)
    assert found.state_dir_key.endswith("run.toml: [service]: state_dir")
    papers, notes = found.pipelines
    assert (papers.pipeline_id, papers.kind, papers.place) == ("papers", "local_files", str(tmp_path / "docs"))
    assert (papers.task.workers, papers.task.scope, papers.task.state_dir) == (3, "papers", tmp_path / "state")
    assert (notes.pipeline_id, notes.place) == ("notes: all", str(tmp_path / "notes"))
    assert notes.task.workers == 2


def test_what_the_file_leaves_out_comes_from_the_environment(tmp_path: Path) -> None:
    env = {"STATUS_STATE_DIR": str(tmp_path / "elsewhere"), "RUN_MODE": "single", "RAG_WORKERS": "7"}
    found = read(tmp_path, f'{FOLDER}id = "a"\nfolder = "docs"\n', env)
    assert (found.host, found.port, found.socket_port, found.store_url) == (None, None, None, None)
    assert (found.state_dir, found.state_dir_key) == (tmp_path / "elsewhere", "STATUS_STATE_DIR")
    assert (found.mode, found.pipelines[0].task.workers) == (RunMode.SINGLE, 7)


def test_one_pass_can_be_asked_for_on_the_command_line(tmp_path: Path) -> None:
    path = written(tmp_path, f'{FOLDER}id = "a"\nfolder = "docs"\n')
    found = read_file(path, single=True, env={})
    assert (found.mode, found.pipelines[0].task.mode) == (RunMode.SINGLE, RunMode.SINGLE)


def test_a_file_is_found_from_where_the_command_runs_and_its_folders_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    written(tmp_path / "conf", f'{FOLDER}id = "a"\nfolder = "docs"\n')
    monkeypatch.chdir(tmp_path)
    found = read_file(Path("conf/run.toml"), env={})
    assert found.pipelines[0].place == str(tmp_path / "conf" / "docs")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 [[pipeline]] tables: expected 1 to 100"),
        ("pipeline = 3", "pipeline: expected tables, [[pipeline]]"),
        ("[pipeline]\n", "pipeline: expected tables, [[pipeline]]"),
        ("service = 3", "service: expected a table, [service]"),
        ("[services]\n", "unknown table or key 'services': expected service, store, pipeline"),
        ("[[pipeline]]\n", "[[pipeline]] 1: kind is missing: expected local_files or google_drive"),
        ('[[pipeline]]\nkind = "s3"', "[[pipeline]] 1: kind='s3': expected local_files or google_drive"),
        (
            f'{FOLDER}folder = "a"',
            f"[[pipeline]] 1: id is missing: expected {AN_ID}",
        ),
        (f'{FOLDER}id = "a"', "[[pipeline]] 1 (a): folder is missing: expected the folder to follow"),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\nfolder_id = "y"',
            f"[[pipeline]] 1 (a): unknown key 'folder_id': expected {KEYS}",
        ),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\nworkers = 0',
            "[[pipeline]] 1 (a): workers=0: expected a whole number from 1 to 64",
        ),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\ncheck_interval = "5s"',
            "[[pipeline]] 1 (a): check_interval='5s': expected a number from 0.1 to 86400",
        ),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\ndelete_max_files = -1',
            "[[pipeline]] 1 (a): delete_max_files=-1: expected a whole number from 0 to 1000000000",
        ),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\ndelete_max_percent = 101',
            "[[pipeline]] 1 (a): delete_max_percent=101: expected a number from 0 to 100",
        ),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\n{FOLDER}id = "a"\nfolder = "y"',
            "[[pipeline]] 2 (a): id='a': expected another id than that of [[pipeline]] 1",
        ),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\n{FOLDER}id = "b"\nfolder = "./x/"',
            "[[pipeline]] 2 (b): folder='./x/': expected another one than [[pipeline]] 1 (a) follows",
        ),
        ("[service]\nport = 99999", "0 [[pipeline]] tables: expected 1 to 100"),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\n[service]\nport = 99999',
            "[service]: port=99999: expected a whole number from 0 to 65535",
        ),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\n[service]\nports = 1',
            "[service]: unknown key 'ports': expected host, port, socket_port, state_dir",
        ),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\n[service]\nstate_dir = "x"',
            "[[pipeline]] 1 (a): folder='x': expected another folder than the one that keeps the state",
        ),
        ("a = " + "[" * 3000, "can't be read: lists or tables in it are nested too deeply"),
        ("a = " + "9" * 5000, "can't be read: a number in it is too long"),
        (
            f'{FOLDER}id = "a"\nfolder = "x"\n[service]\nport = 0x{"f" * 5000}',
            "[service]: port=a number that is too long: expected a whole number from 0 to 65535",
        ),
        ('"me:hunter2@host" = 1', "unknown table or key ***: expected service, store, pipeline"),
        ("kind = ", "is not TOML: Invalid value (at end of document)"),
    ],
)
def test_each_mistake_is_one_line_that_names_file_table_and_key(tmp_path: Path, text: str, said: str) -> None:
    assert problem(tmp_path, text) == said


def test_ids_that_can_not_be_read_are_refused(tmp_path: Path) -> None:
    for text in ("a\\nb", "x" * 201, ".", ".."):
        assert "expected a name of its own" in problem(tmp_path, f'{FOLDER}folder = "x"\nid = "{text}"\n')


def test_there_are_only_so_many(tmp_path: Path) -> None:
    tables = "".join(f'{FOLDER}id = "{n}"\nfolder = "{n}"\n' for n in range(MAX_PIPELINES + 1))
    assert problem(tmp_path, tables) == "101 [[pipeline]] tables: expected 1 to 100"


def test_a_bad_variable_is_told_as_everywhere(tmp_path: Path) -> None:
    path = written(tmp_path, f'{FOLDER}id = "a"\nfolder = "x"\n')
    with pytest.raises(ConfigurationError, match="RAG_WORKERS='many': expected a whole number"):
        read_file(path, env={"RAG_WORKERS": "many"})


def test_a_file_that_can_not_be_read_says_so(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match="can't be read: "):
            read_file(path, env={})
    written(tmp_path, "").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="is not text in UTF-8"):
        read_file(tmp_path / "run.toml", env={})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(max_size=80) | st.lists(st.sampled_from(TWO.splitlines()), max_size=12).map("\n".join))
def test_any_text_is_a_run_or_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert read_file(path, env={}).pipelines
        return
    except ConfigurationError as error:
        said = str(error)
    assert "\n" not in said
    assert said.startswith(os.fspath(path))
