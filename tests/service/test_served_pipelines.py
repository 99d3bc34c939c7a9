"""Which pipelines a server shows."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.service import start_status_server
from tests.service.support import connect, last_status, new_pipeline
from tests.support.http_get import get_json
from tests.support.programs import run
from tests.support.waiting import wait_until


def test_two_servers_in_one_process_show_their_own_pipelines() -> None:
    first, second = new_pipeline(), new_pipeline()
    with start_status_server(0, pipelines=[first]) as a, start_status_server(0, pipelines=[second]) as b:
        with connect(a) as of_a, connect(b) as of_b:
            wait_until(lambda: of_a.count("/pipeline") == 1 == of_b.count("/pipeline"))
            first.update(status="one")
            second.update(status="two")
            wait_until(lambda: last_status(of_a) == "one")
            wait_until(lambda: last_status(of_b) == "two")
            assert of_a.count("/pipeline") == of_b.count("/pipeline") == 2
        assert get_json(a.http_port, "/status").body["pipeline_id"] == first.pipeline_id
        assert get_json(a.http_port, f"/status/{second.pipeline_id}").status == 404


def test_two_servers_in_one_process_need_two_state_folders(tmp_path: Path) -> None:
    first, second = new_pipeline(), new_pipeline()
    with (
        start_status_server(0, pipelines=[first], state_dir=tmp_path / "a") as a,
        start_status_server(0, pipelines=[second], state_dir=tmp_path / "b") as b,
        start_status_server(0, pipelines=[second], state_dir=tmp_path / "a") as c,
    ):
        journals = [get_json(server.http_port, "/health").body["journal"] for server in (a, b, c)]
        assert [journal["kind"] for journal in journals] == ["sqlite", "sqlite", "memory"]
        assert "another server of this process: give each server its own state_dir" in journals[2]["error"]


def test_two_servers_can_share_a_pipeline_and_one_may_stop() -> None:
    pipeline = new_pipeline()
    a = start_status_server(0, pipelines=[pipeline])
    with start_status_server(0, pipelines=[pipeline]) as b, connect(a) as of_a, connect(b) as of_b:
        wait_until(lambda: of_a.count("/pipeline") == 1 == of_b.count("/pipeline"))
        pipeline.update(status="both")
        wait_until(lambda: last_status(of_a) == "both" == last_status(of_b))
        a.stop()
        pipeline.update(status="one")
        wait_until(lambda: last_status(of_b) == "one")
        assert last_status(of_a) == "both"


def test_one_pipeline_is_shown_flat_and_several_also_by_id() -> None:
    first, second = new_pipeline("google_drive"), new_pipeline("sharepoint")
    with start_status_server(0, pipelines=[first]) as server:
        assert get_json(server.http_port, "/status").body == first.get()
    with start_status_server(0, pipelines=[first, second]) as server:
        body = get_json(server.http_port, "/status").body
        assert body.pop("pipelines") == {first.pipeline_id: first.get(), second.pipeline_id: second.get()}
        assert body == first.get()
        assert get_json(server.http_port, f"/status/{second.pipeline_id}") == (200, second.get())
        missing = get_json(server.http_port, "/status/none-such")
        assert missing.status == 404
        assert "none-such" in missing.body["error"]


@pytest.mark.slow
def test_all_pipelines_are_shown_even_after_their_owner_dropped_them() -> None:
    before = new_pipeline()
    with start_status_server(0) as server, connect(server) as watcher:
        wait_until(lambda: watcher.count("/pipeline") >= 1)
        after = new_pipeline()
        ids = before.pipeline_id, after.pipeline_id
        before.update(status="made before")
        after.update(status="made after")
        wait_until(lambda: last_status(watcher) == "made after")
        assert [get_json(server.http_port, f"/status/{i}").body["status"] for i in ids] == ["made before", "made after"]
        assert {*ids} <= get_json(server.http_port, "/health").body["pipelines"].keys()
        del before, after
        gc.collect()
        assert [get_json(server.http_port, f"/status/{i}").status for i in ids] == [200, 200]
        with connect(server) as late:
            wait_until(lambda: {*ids} <= {i.arguments[0]["pipeline_id"] for i in late.received("/pipeline")[1:]})


@pytest.mark.slow
def test_a_closed_pipeline_disappears_and_frees_its_id() -> None:
    with start_status_server(0) as server:
        former = new_pipeline()
        former.update(status="former")
        later = PipelineStatus("local_files", former.pipeline_id)
        assert get_json(server.http_port, f"/status/{later.pipeline_id}").body["status"] == "initializing"
        later.close()
        assert get_json(server.http_port, f"/status/{later.pipeline_id}").status == 404
        gone = weakref.ref(former)
        new = new_pipeline()  # attaching it makes the server drop closed ones
        del former
        gc.collect()
        assert gone() is None
        assert get_json(server.http_port, f"/status/{new.pipeline_id}").status == 200


@pytest.mark.slow
def test_the_default_pipeline_alone_is_shown_flat_and_first_among_several() -> None:
    program = """
import json, urllib.request
from status_server import PipelineStatus, pipeline_status, start_status_server
def ask(path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return json.load(opener.open(f"http://127.0.0.1:{server.http_port}{path}", timeout=30))
with start_status_server(0) as server:
    alone = ask("/status")
    assert alone == pipeline_status.get() and alone["status"] == "initializing", alone
    other = PipelineStatus("local_files", "other")
    assert ask("/status") == other.get()          # the default one has not reported yet
    pipeline_status.update(pipeline_type="google_drive", status="running")
    both = ask("/status")
    assert list(both.pop("pipelines")) == [pipeline_status.pipeline_id, "other"]
    assert both == pipeline_status.get()
print("fine")
"""
    done = run("-W", "error", "-c", program)
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


def test_a_program_that_only_reports_needs_no_server() -> None:
    program = """
import sys, threading
from rag_pipeline import pipeline_status
pipeline_status.update(status="running")
with pipeline_status.processing("a.txt") as file:
    file.stage("chunking", 0.5)
assert pipeline_status.get()["total_processed"] == 1
assert not {"eventlet", "socketio", "engineio"} & sys.modules.keys()
assert threading.active_count() == 1
print("fine")
"""
    done = run("-W", "error", "-c", program)
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


def test_a_service_that_starts_after_its_pipeline_knows_its_files(tmp_path: Path) -> None:
    pipeline = new_pipeline()
    for n in range(5):
        pipeline.add_processing_file(f"flying {n}")
        pipeline.complete_file(f"done {n}")
    with start_status_server(0, pipelines=[pipeline], state_dir=tmp_path) as server:
        pipeline.complete_file("flying 0")
        wait_until(lambda: len(get_json(server.http_port, "/files?status=completed")[1]["files"]) == 6)
        assert len(get_json(server.http_port, "/files?status=processing")[1]["files"]) == 4
