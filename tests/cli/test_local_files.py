"""Runs the command as a process, and follows it only over Socket.IO and HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.local_files.process import ROOT, SECONDS, Watcher, command, found, process
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FAST = {"RAG_SETTLE_SECONDS": "0.3", "RAG_CHECK_INTERVAL": "1"}


@pytest.fixture(scope="module")
def api() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    made.mkdir()
    return made


@pytest.fixture
def env(api: Endpoint, tmp_path: Path) -> dict[str, str]:
    api.delay_seconds, api.down = 0.0, False
    return {**FAST, **api.env, "STATUS_STATE_DIR": str(tmp_path / "state")}


def test_a_client_follows_a_changing_folder_over_socketio_and_http(
    folder: Path, env: dict[str, str], tmp_path: Path
) -> None:
    (folder / "first.txt").write_text("The lighthouse keeper feeds the gulls.")
    with process([str(folder)], env) as run:
        watcher = Watcher(run.address("Socket.IO"))
        run.wait(lambda s: s["status"] == "idle" and s["total_processed"] == 1)
        (folder / "sub").mkdir()
        (folder / "sub" / "second.md").write_text("# Tea\n\nWater at ninety degrees.\n\n# Coffee\n\nA coarse grind.")
        (folder / "bad.pdf").write_bytes(b"%PDF-1.7\nthis is no PDF")
        (folder / "packed.gz").write_bytes(b"\x1f\x8b\x08" + b"\0" * 64)
        run.wait(lambda s: (s["total_processed"], s["total_failed"], s["total_skipped"]) == (2, 1, 1))
        (folder / "first.txt").write_text("The submarine cook bakes bread.")
        (folder / "sub" / "second.md").unlink()
        wait_until(
            lambda: [name for name, _ in watcher.of("first.txt")].count("pipeline:file_completed") == 2, seconds=SECONDS
        )
        state = run.wait(lambda s: (s["total_processed"], s["total_deleted"], s["status"]) == (1, 1, "idle"))
        assert state["pipeline_type"] == "local_files"
        assert (state["files_queued"], state["files_in_flight"], state["folder"]) == (0, 0, str(folder))
        [failed] = state["files_failed"]
        assert (failed["name"], failed["error"]["stage"], failed["error"]["type"]) == (
            "bad.pdf",
            "extracting",
            "CorruptFileError",
        )
        [skipped] = state["files_skipped"]
        assert skipped["name"] == "packed.gz"

        assert [hit["name"] for hit in found("bread", env, tmp_path / "state")] == ["first.txt"]
        assert run.end(signal.SIGTERM) == 0
        wait_until(lambda: watcher.statuses()[-1] == "stopped")
        watcher.close()

        assert watcher.names("sub/second.md") == ["processing_started", "progress", "completed", "deleted"]
        assert watcher.names("bad.pdf")[-1] == "failed"
        stages = [file["stage"] for name, file in watcher.of("sub/second.md") if name.endswith("progress")]
        assert set(stages) <= {"extracting", "chunking", "embedding", "storing"}
        assert {"scanning", "processing", "idle"} <= set(watcher.statuses())
        numbers = [body["seq"] for name, body in watcher.events if name != "pipeline:status"]
        assert numbers == sorted(set(numbers))
        assert "Traceback" not in run.output
        assert "3 stored, 1 failed, 1 skipped, 1 removed" in run.output


def test_after_a_kill_halfway_every_file_is_stored_once(
    folder: Path, env: dict[str, str], api: Endpoint, tmp_path: Path
) -> None:
    names = {f"{number:02}.txt" for number in range(16)}
    for name in names:
        (folder / name).write_text(f"zebra document {name}")
        os.utime(folder / name, (1e9, 1e9))
    api.delay_seconds = 0.1
    for kill_at in (2, 7):
        with process([str(folder)], env) as run:
            state = run.wait(stored_at_least(kill_at))
            assert state["files_stored"] < len(names)
            run.end(signal.SIGKILL)
    api.delay_seconds = 0.0
    embedded = len(api.texts)
    with process([str(folder)], env) as run:
        # Files that a kill interrupted count as failed until they are processed again.
        run.wait(lambda s: s["status"] == "idle" and s.get("files_stored") == len(names) and s["total_failed"] == 0)
        done_again = len(api.texts) - embedded
        assert run.end() == 0
    # A kill loses the work on the files in flight, at most two; stored files are not processed again. The endpoint may
    # also have counted those two late, and the request by which the new process learns the dimensions.
    assert done_again <= len(names) - 7 + 2 + 1
    assert sorted(hit["name"] for hit in found("zebra document", env, tmp_path / "state")) == sorted(names)
    with process([str(folder), "--once"], env) as run:
        assert run.popen.wait(60) == 0
    assert "0 stored, 0 failed" in run.output


def stored_at_least(count: int) -> Callable[[dict[str, Any]], bool]:
    return lambda state: state.get("files_stored", 0) >= count


def write_odd_files(folder: Path) -> None:
    """Write one of each kind of file that could crash or hang a pipeline."""
    examples = ROOT / "examples" / "documents"
    shutil.copy(examples / "board-minutes (locked).pdf", folder / "encrypted.pdf")
    shutil.copy(examples / "products" / "old-manual (damaged).docx", folder / "corrupt.docx")
    (folder / "empty.txt").write_text("")
    (folder / "loop").symlink_to(".")
    (folder / "self").symlink_to("self")
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("walrus in a name of another encoding")
    (folder / "new\nline \x1b[31m.txt").write_text("walrus with a name that paints")
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(3 << 30)
    with zipfile.ZipFile(folder / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("[Content_Types].xml", "<Types/>")
        with bomb.open("word/document.xml", "w", force_zip64=True) as member:
            for _ in range(600):
                member.write(b" " * (1 << 20))
    (folder / "good.txt").write_text("walrus")


def test_each_odd_file_has_an_outcome_and_stops_no_other(folder: Path, env: dict[str, str], tmp_path: Path) -> None:
    write_odd_files(folder)
    expected = {
        "encrypted.pdf": ("failed", "EncryptedFileError"),
        "corrupt.docx": ("failed", "CorruptFileError"),
        "bomb.docx": ("failed", "ExtractionLimitError"),
        "huge.txt": ("failed", "ExtractionLimitError"),
        "empty.txt": ("skipped", "Skipped"),
        "loop": ("skipped", "Skipped"),
        "self": ("skipped", "Skipped"),
        "broken": ("skipped", "Skipped"),
        "pipe": ("skipped", "Skipped"),
        "caf\\xe9.txt": ("completed", None),
        "new\nline \x1b[31m.txt": ("completed", None),
        "good.txt": ("completed", None),
    }
    with process([str(folder)], env) as run:
        watcher = Watcher(run.address("Socket.IO"))
        state = run.wait(
            lambda s: (
                s["status"] == "idle" and s["total_processed"] + s["total_failed"] + s["total_skipped"] == len(expected)
            )
        )
        assert (state["total_processed"], state["total_failed"], state["total_skipped"]) == (3, 4, 5)
        shown = {
            file["id"]: (kind, (file["error"] or {}).get("type"))
            for kind in ("completed", "failed", "skipped")
            for file in state[f"files_{kind}"]
        }
        assert shown == {key: value for key, value in expected.items() if key in shown}
        assert len(shown) == len(expected)
        assert run.end() == 0
        watcher.close()
    assert "\x1b[31m" not in run.output
    assert len(found("walrus", env, tmp_path / "state")) == 3


# Root can read everything unless it drops the capabilities.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.mark.skipif(bool(UNPRIVILEGED) and not shutil.which("setpriv"), reason="root without setpriv reads everything")
def test_unreadable_files_and_folders_fail_with_the_reason(folder: Path, env: dict[str, str]) -> None:
    (folder / "locked.txt").write_text("x")
    (folder / "locked.txt").chmod(0)
    (folder / "closed").mkdir()
    (folder / "closed" / "inside.txt").write_text("x")
    (folder / "closed").chmod(0)
    (folder / "good.txt").write_text("x y")
    run = command(["local-files", str(folder), "--once"], env, prefix=UNPRIVILEGED)
    (folder / "closed").chmod(0o700)
    assert run.returncode == 1, run.stderr
    assert "locked.txt  extracting: can't be read: Permission denied" in run.stdout
    assert "closed  scanning: the folder can't be listed: Permission denied" in run.stdout
    assert "1 stored, 2 failed" in run.stdout


def test_a_single_pass_over_the_examples_with_the_real_model_answers_questions(tmp_path: Path) -> None:
    env = {**FAST, "STATUS_STATE_DIR": str(tmp_path / "state"), "RUN_MODE": "single"}
    run = command(["local-files", str(ROOT / "examples" / "documents")], env)
    if "requirements-model" in run.stderr:
        pytest.skip("the embedding model is not installed")
    assert run.returncode == 1, run.stderr
    assert "11 stored, 2 failed, 1 skipped" in run.stdout
    assert run.stderr == ""
    best, *_ = found("how many days of leave do I get", env, tmp_path / "state", limit=3)
    assert (best["name"], best["score"] > 0.5, "leave" in best["place"].lower()) == ("policies/leave.md", True, True)


def test_a_single_pass_that_skips_everything_says_so_in_its_last_line(folder: Path, env: dict[str, str]) -> None:
    for number in range(3):
        (folder / f"data {number}.bin").write_bytes(bytes(range(256)) + bytes([number]))
    (folder / "empty.txt").touch()
    run = command(["local-files", str(folder), "--once"], env)
    assert run.stdout.splitlines()[-1].startswith(
        "0 files stored: all 4 files were skipped (3: is binary data of an unknown type; 1: is empty (0 bytes)) in "
    )
    assert run.returncode == 0


def test_a_text_with_faults_is_stored_with_warnings_and_garbage_fails(folder: Path, env: dict[str, str]) -> None:
    faulty = "The heron stands in the shallow water. " * 200 + "\ufffd" * 20
    for name in ("faulty.txt", "copy.txt"):
        (folder / name).write_text(faulty)
    (folder / "garbage.txt").write_text("abc \ufffd\ufffd\ufffd\ue000 " * 500)
    run = command(["local-files", str(folder), "--once"], env)
    assert run.returncode == 1
    lines = {line.split()[1]: line for line in run.stdout.splitlines() if ".txt " in line}
    for name in ("faulty.txt", "copy.txt"):
        assert lines[name].endswith("; warning: some characters could not be decoded")
    assert "has unreadable text: 44% of its characters could not be decoded" in lines["garbage.txt"]
    assert "2 stored, 1 failed, 0 skipped, 0 removed, 2 with warnings in " in run.stdout.splitlines()[-1]
    (folder / "garbage.txt").unlink()
    with process([str(folder)], env) as again:
        state = again.wait(lambda s: s["status"] == "idle" and s["total_failed"] == 0)
        assert (state["total_processed"], state["total_with_warnings"]) == (2, 2)
        assert {len(file["warnings"]) for file in state["files_completed"]} == {1}
        assert {file["quality"]["pages"] for file in state["files_completed"]} == {None}


def test_ctrl_c_stops_and_the_next_start_processes_the_file_in_flight(
    folder: Path, env: dict[str, str], api: Endpoint
) -> None:
    (folder / "long.txt").write_text("\n\n".join(f"paragraph {n} " + "words " * 150 for n in range(400)))
    api.delay_seconds = 0.3
    with process([str(folder)], env) as run:
        run.wait(lambda s: any(f["stage"] == "embedding" for f in s["files_processing"]))
        assert run.end(signal.SIGINT) == 0
    assert "0 stored, 0 failed" in run.output
    api.delay_seconds = 0.0
    with process([str(folder), "--once"], env) as run:
        assert run.popen.wait(60) == 0
    assert "1 stored, 0 failed" in run.output


def test_an_interrupted_single_pass_is_exit_code_130(folder: Path, env: dict[str, str], api: Endpoint) -> None:
    (folder / "a.txt").write_text("words")
    api.delay_seconds = 30.0
    with process([str(folder), "--once"], env) as run:
        run.wait(lambda s: s["files_in_flight"] == 1)
        run.popen.send_signal(signal.SIGINT)
        wait_until(lambda: "stopping" in run.output)
        run.popen.send_signal(signal.SIGINT)
        assert run.popen.wait(20) == 130


def test_two_processes_never_share_a_state_folder(folder: Path, env: dict[str, str]) -> None:
    with process([str(folder)], env) as run:
        run.address("Status")
        other = command(["local-files", str(folder)], env)
        assert other.returncode == 5
        assert other.stderr.strip().endswith(f"is in use by process {run.popen.pid}")
        assert other.stderr.count("\n") == 1
        assert run.end() == 0


def test_an_unusable_state_folder_is_one_line_that_names_the_setting(folder: Path, env: dict[str, str]) -> None:
    for args, extra, key in (
        ([], {"STATUS_STATE_DIR": "/dev/null"}, "STATUS_STATE_DIR"),
        (["--state-dir", "/dev/null"], {}, "--state-dir"),
    ):
        run = command(["local-files", str(folder), *args], {**env, **extra})
        assert (run.returncode, run.stdout) == (5, "")
        assert run.stderr.startswith(f"rag-pipeline: error: {key}='/dev/null': expected a folder that can be made")
        assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("damaged", ["data/*.lance", "_versions/*.manifest", "_indices/*/*.lance"])
def test_a_damaged_store_is_one_line_that_says_how_to_rebuild_it(
    folder: Path, env: dict[str, str], tmp_path: Path, damaged: str
) -> None:
    (folder / "a.txt").write_text("a heron stands")
    assert command(["local-files", str(folder), "--once"], env).returncode == 0
    store = tmp_path / "state" / "store"
    files = list((store / "chunks.lance").glob(damaged))
    assert files
    for file in files:
        file.write_bytes(b"")
    run = command(["search", "heron"], env)
    assert (run.returncode, run.stdout) == (6, "")
    assert run.stderr.startswith(f"rag-pipeline: error: {store}: the vector store is damaged (")
    assert run.stderr.endswith("remove that folder and run rag-pipeline local-files again, which rebuilds it\n")
    assert run.stderr.count("\n") == 1
    shutil.rmtree(store)
    assert command(["local-files", str(folder), "--once"], env).returncode == 0
    assert len(found("heron", env, tmp_path / "state")) == 1


def test_a_full_output_does_not_stop_the_work(folder: Path, env: dict[str, str]) -> None:
    (folder / "a.txt").write_text("a heron stands")
    run = command(["local-files", str(folder), "--once"], env, prefix=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("\n") == 1
    assert "the output can't be written (No space left on device)" in run.stderr
    for redirected in (">&-", ">/dev/null"):
        run = command(["search", "heron"], env, prefix=["sh", "-c", f'exec "$@" {redirected}', "sh"])
        assert (run.returncode, run.stderr) == (0, "")
    run = command(["search", "heron"], env, prefix=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert run.returncode == 8
    assert run.stderr == "rag-pipeline: error: the output can't be written: No space left on device\n"


def test_two_folders_can_share_a_state_folder_one_after_the_other(
    folder: Path, env: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (folder / "same.txt").write_text("a heron stands")
    (other / "same.txt").write_text("a heron flies")
    for each in (folder, other):
        assert command(["local-files", str(each), "--once"], env).returncode == 0
    uris = {hit["uri"] for hit in found("heron", env, tmp_path / "state")}
    assert uris == {f"file://{folder}/same.txt", f"file://{other}/same.txt"}


def test_a_taken_port_is_one_line_and_exit_code_3(folder: Path, env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = command(["local-files", str(folder), "--port", str(port)], env)
    assert run.returncode == 3
    assert run.stderr.startswith("rag-pipeline: error: ")
    assert str(port) in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "extra", "message"),
    [
        ([], {}, "no folder to watch"),
        (["/no/such"], {}, "DIR='/no/such': expected a folder that can be listed (No such file or directory)"),
        ([], {"RAG_WATCH_DIRECTORY": "/no/such"}, "error: RAG_WATCH_DIRECTORY='/no/such': expected a folder"),
        ([__file__], {}, f"DIR={__file__!r}: expected a folder that can be listed (Not a directory)"),
        (["/"], {"RUN_MODE": "twice"}, "RUN_MODE='twice'"),
        (["/"], {"EMBEDDING_API_URL": "nowhere"}, "EMBEDDING_API_URL='nowhere'"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    env: dict[str, str], args: list[str], extra: dict[str, str], message: str
) -> None:
    run = command(["local-files", *args], {**env, **extra})
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_missing_model_is_one_line_and_exit_code_7(folder: Path, env: dict[str, str], tmp_path: Path) -> None:
    plain = {key: value for key, value in env.items() if not key.startswith("EMBEDDING")}
    run = command(["local-files", str(folder)], {**plain, "EMBEDDING_MODEL_DIR": str(tmp_path / "none")})
    assert run.returncode == 7
    assert run.stderr.count("\n") == 1


def test_an_unreachable_endpoint_is_retried_until_it_is_back(folder: Path, env: dict[str, str], api: Endpoint) -> None:
    (folder / "a.txt").write_text("words")
    api.down = True
    with process([str(folder), "--once"], env) as run:
        wait_until(lambda: len(api.texts) > 0 and "words" in api.texts[-1])
        api.down = False
        assert run.popen.wait(60) == 0
    assert json.dumps("1 stored, 0 failed")[1:-1] in run.output
