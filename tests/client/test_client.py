"""The client and the real service: after any failure the states are right in the end."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
import random
import re
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipeline import PipelineStatus
from rag_pipeline.client import (
    AccessDeniedError,
    ClientClosedError,
    ConnectionState,
    Event,
    State,
    StatusClient,
    UnreachableError,
    WaitTimeoutError,
)
from rag_pipeline.contract import events
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import core_of
from tests.journal.cut_proxy import proxy_to
from tests.socket_server.support import clients, hammer, new_pipeline, serving
from tests.support.http_get import get_json
from tests.support.ports import free_port_pair, taken_port
from tests.support.programs import ROOT, Program, run
from tests.support.recorder import status_numbers
from tests.support.state_client import without_volatile
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FAST: dict[str, Any] = {"reconnect_delay_seconds": 0.02, "reconnect_delay_max_seconds": 0.2}
TRANSPORTS = [["websocket"], ["polling"]]
SECONDS = 60.0


def url_of(server: StatusServer) -> str:
    return f"http://127.0.0.1:{server.socket_port}"


def caught_up(client: StatusClient, pipeline: PipelineStatus) -> None:
    """Wait until the client has the current state of the pipeline."""
    core_of(pipeline).flush(everything=True)
    seq, key = pipeline.get()["seq"], pipeline.pipeline_id
    client.wait_for(lambda states: states[key]["seq"] >= seq, SECONDS)
    assert without_volatile(client.state(key) or {}) == without_volatile(pipeline.get())


def numbers(seen: list[Event]) -> dict[tuple[str, str], list[int]]:
    """Return the sequence numbers of the file events by pipeline and epoch; no status repeats them."""
    found = defaultdict(list)
    for name, data in seen:
        if name != events.STATUS:
            found[data["pipeline_id"], data["epoch"]].append(data["seq"])
    return found


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_the_states_follow_busy_pipelines(transports: list[str]) -> None:
    busy, quiet = new_pipeline(), new_pipeline("google_drive")
    with serving(busy, quiet) as server, StatusClient(url_of(server), transports=transports) as client:
        assert list(client.wait_for(timeout=SECONDS)) == [busy.pipeline_id, quiet.pipeline_id]
        stream = client.events()
        start = busy.get()["seq"]
        for worker in hammer(busy, threads=3, rounds=100):
            worker.join(SECONDS)
        caught_up(client, busy)
        caught_up(client, quiet)
        [seen] = numbers(stream.pending()).values()
        assert len(seen) == len(set(seen)) == 900
        assert seen == sorted(seen)
        assert seen[0] > start
        assert client.connection is ConnectionState.LIVE
        assert client.error is None


@pytest.fixture(scope="module")
def shown() -> Iterator[tuple[StatusServer, PipelineStatus, StatusClient]]:
    pipeline = new_pipeline()
    with serving(pipeline) as server, StatusClient(url_of(server)) as client:
        yield server, pipeline, client


WORK = st.lists(
    st.tuples(st.sampled_from(["start", "progress", "done", "failed", "skip", "delete", "set"]), st.sampled_from("abc"))
)


@given(work=WORK)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_work_the_state_equals_the_pipelines(
    shown: tuple[StatusServer, PipelineStatus, StatusClient], work: list[tuple[str, str]]
) -> None:
    _, pipeline, client = shown
    for what, name in work:
        if what == "start":
            pipeline.add_processing_file(name, name)
        elif what == "progress":
            pipeline.file_progress(name, "embedding", 0.5, file_id=name)
        elif what in ("done", "failed"):
            pipeline.complete_file(name, what == "done", file_id=name)
        elif what == "skip":
            pipeline.skip_file(name, "why", file_id=name)
        elif what == "delete":
            pipeline.delete_file(name, file_id=name)
        else:
            pipeline.update(own={"note": name})
    caught_up(client, pipeline)


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_after_many_cuts_each_event_has_come_once(transports: list[str]) -> None:
    pipeline, chance, stop = new_pipeline(), random.Random(6), threading.Event()

    def work() -> None:
        for number in itertools.count():
            with pipeline.processing(f"file-{number}", str(number)) as file:
                file.stage("chunking", 0.5)
            if not number % 7:
                pipeline.update(own={"note": number})
            if stop.wait(0.001):
                return

    with (
        serving(pipeline) as server,
        proxy_to(server.socket_port) as proxy,
        StatusClient(f"http://127.0.0.1:{proxy.port}", transports=transports, **FAST) as client,
    ):
        client.wait_for(timeout=SECONDS)
        stream, began = client.events(), pipeline.get()["seq"]
        statuses = status_numbers(pipeline)
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        for _ in range(8):
            seq = pipeline.get()["seq"] + chance.randrange(1, 200)
            client.wait_for(lambda states: states[pipeline.pipeline_id]["seq"] >= seq, SECONDS)  # noqa: B023
            proxy.cut()
            wait_until(lambda: client.connection is ConnectionState.RECONNECTING)
            proxy.mend()
        stop.set()
        worker.join(SECONDS)
        caught_up(client, pipeline)
        assert client.recovered is True
        seen = stream.pending()
        [files] = numbers(seen).values()
        assert len(files) == len(set(files))
        assert files == sorted(files)
        # The numbers have no gap but for statuses that later ones superseded while the client was away.
        missing = set(range(began + 1, pipeline.get()["seq"] + 1)) - {data["seq"] for _, data in seen}
        assert missing <= statuses


def test_the_client_resumes_after_kills_of_the_service(tmp_path: Path) -> None:
    port = free_port_pair()
    demo = ["status_server.py", "--demo", "--speed", "400", "--port", str(port)]
    env = {"STATUS_STATE_DIR": str(tmp_path)}
    seen: list[Event] = []
    with StatusClient(f"http://127.0.0.1:{port}", **FAST) as client:  # before there is a service
        stream = client.events()
        for _ in range(3):
            with Program(*demo, env=env) as program:
                program.expect("Status")
                client.wait_for(lambda states: any(state["files_in_flight"] for state in states.values()), SECONDS)
                program.signal(signal.SIGKILL)
                wait_until(lambda: client.connection is ConnectionState.RECONNECTING)
                assert isinstance(client.error, UnreachableError)
            seen += stream.pending()
        assert client.recovered is True
        with Program(*demo, env=env) as program:
            program.expect("Status")
            client.wait_for(lambda states: any(s["status"] == "idle" for s in states.values()), SECONDS)
            program.signal(signal.SIGTERM)
            wait_until(lambda: client.connection is ConnectionState.RECONNECTING)
        seen += stream.pending()
    [files] = numbers(seen).values()  # in one epoch
    assert len(files) == len(set(files))
    assert any((data["file"]["error"] or {}).get("type") == "Interrupted" for name, data in seen if "failed" in name)


def test_a_service_that_lost_its_journal_is_followed_afresh() -> None:
    port = free_port_pair()
    options: dict[str, Any] = {"http_port": port, "socket_port": port + 1}
    with StatusClient(f"http://127.0.0.1:{port + 1}", **FAST) as client:
        first = new_pipeline()
        first.update(status="processing")
        with serving(first, **options):
            client.wait_for(timeout=SECONDS)
        second = new_pipeline()
        second.update(status="idle")
        with serving(second, **options):
            states = client.wait_for(lambda states: second.pipeline_id in states, SECONDS)
            assert list(states) == [second.pipeline_id]
            assert client.recovered is False


def test_the_url_of_the_http_server_works() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server, StatusClient(f"http://127.0.0.1:{server.http_port}/") as client:
        assert client.wait_for(timeout=SECONDS)[pipeline.pipeline_id]["status"] == "initializing"
        assert clients(server)["/pipeline"] == 1


@pytest.mark.parametrize("port_of", ["socket_port", "http_port"])
def test_the_url_may_end_with_the_namespace(port_of: str) -> None:
    one, other = new_pipeline("local_files"), new_pipeline("google_drive")
    expected = {
        "": [one, other],
        "/": [one, other],
        "/pipeline": [one, other],
        "/pipeline/": [one, other],
        "/google_drive": [other],
    }
    with serving(one, other) as server:
        for path, shown in expected.items():
            with StatusClient(f"http://127.0.0.1:{getattr(server, port_of)}{path}") as client:
                assert list(client.wait_for(timeout=SECONDS)) == [pipeline.pipeline_id for pipeline in shown]


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_the_root_namespace_shows_every_pipeline_and_resumes(transports: list[str]) -> None:
    pipeline = new_pipeline()
    with (
        serving(pipeline) as server,
        proxy_to(server.socket_port) as proxy,
        StatusClient(f"http://127.0.0.1:{proxy.port}", namespace="/", transports=transports, **FAST) as client,
    ):
        client.wait_for(timeout=SECONDS)
        stream = client.events(timeout=SECONDS)
        proxy.cut()
        wait_until(lambda: client.error is not None)  # between two polls a cut alone would not be noticed
        proxy.mend()
        pipeline.add_processing_file("a.pdf", "a")
        pipeline.complete_file("a.pdf", file_id="a")
        about_files = (event.name for event in stream if event.name != events.STATUS)
        assert [next(about_files) for _ in range(2)] == [events.FILE_STARTED, events.FILE_COMPLETED]
        caught_up(client, pipeline)
        assert client.recovered is True


def test_a_timeout_says_why_there_is_no_connection() -> None:
    with (
        serving(new_pipeline()) as server,
        StatusClient(f"http://127.0.0.1:{server.socket_port}/elsewhere", **FAST) as client,
    ):
        wait_until(lambda: client.error is not None)
        with pytest.raises(WaitTimeoutError, match=r"connecting, no connection to http://.*/elsewhere: it answered 4"):
            client.wait_for(timeout=0.1)


def test_a_namespace_shows_its_own_pipelines() -> None:
    one, other = new_pipeline("local_files"), new_pipeline("google_drive")
    with serving(one, other) as server, StatusClient(url_of(server), namespace="/google_drive") as client:
        assert list(client.wait_for(timeout=SECONDS)) == [other.pipeline_id]


def test_events_are_an_iterator_that_ends_with_the_client() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server, StatusClient(url_of(server)) as client:
        client.wait_for(timeout=SECONDS)
        stream = client.events(timeout=SECONDS)
        pipeline.add_processing_file("a.txt")
        event = next(stream)
        assert (event.name, event.data["file"]["name"]) == (events.FILE_STARTED, "a.txt")
        threading.Timer(0.05, client.close).start()
        assert {event.name for event in stream} <= {events.STATUS}
        with pytest.raises(WaitTimeoutError):
            next(StatusClient(url_of(server)).events(timeout=0.01))


def test_a_wait_ends_by_predicate_timeout_or_close() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server, StatusClient(url_of(server)) as client:
        with pytest.raises(TimeoutError, match=r"within 0\.05 seconds"):
            client.wait_for(lambda _states: False, 0.05)
        with pytest.raises(KeyError):
            client.wait_for(lambda states: states["no such"])
        threading.Timer(0.05, client.close).start()
        with pytest.raises(ClientClosedError):
            client.wait_for(lambda _states: False, SECONDS)
    assert client.connection is ConnectionState.CLOSED
    assert list(client.pipelines) == [pipeline.pipeline_id], "the last states stay"


def test_returned_states_are_copies() -> None:
    pipeline = new_pipeline()
    pipeline.update(own={"own": {"list": [1]}})
    with serving(pipeline) as server, StatusClient(url_of(server)) as client:
        client.wait_for(timeout=SECONDS)
        mine: State = client.pipelines[pipeline.pipeline_id]
        mine["own"]["list"].append(2)
        mine["status"] = "mine"
        again = client.state()
        assert again is not None
        assert again["own"] == {"list": [1]}
        assert again["status"] == "initializing"
        assert client.state("no such") is None


def test_on_change_is_called_one_at_a_time_and_its_exceptions_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = new_pipeline()
    told: list[tuple[ConnectionState, int]] = []
    inside = threading.Lock()

    def on_change(client: StatusClient) -> None:
        with_it = inside.acquire(blocking=False)
        told.append((client.connection, (client.state() or {"seq": -1})["seq"]))
        if with_it:
            inside.release()
        # First, since the second call may be the last: changes that come fast are told as one.
        if (client.state() or {}).get("status") == "stopped":
            client.close()
        if len(told) == 2:
            raise ValueError("of the host")

    with serving(pipeline) as server, StatusClient(url_of(server), on_change=on_change) as client:
        client.wait_for(timeout=SECONDS)
        for n in range(500):
            pipeline.update(own={"n": n})
        pipeline.update(status="stopped")
        wait_until(lambda: client.connection is ConnectionState.CLOSED)
        wait_until(lambda: told[-1][0] is ConnectionState.CLOSED)
    assert "on_change has raised an exception" in caplog.text
    assert [seq for _, seq in told] == sorted(seq for _, seq in told)


def test_give_up_after_seconds_and_close_end_the_attempts() -> None:
    with taken_port() as port:
        pass
    with StatusClient(f"http://127.0.0.1:{port}", give_up_after_seconds=0.1, **FAST) as client:
        with pytest.raises(UnreachableError, match="Connection refused"):
            client.wait_for(timeout=SECONDS)
        assert client.connection is ConnectionState.CLOSED
    with StatusClient(f"http://127.0.0.1:{port}") as client:
        wait_until(lambda: client.error is not None and client.connection is ConnectionState.CONNECTING)
    client.close()
    assert client.start().connection is ConnectionState.CLOSED


def test_close_does_not_wait_for_a_stalled_connection() -> None:
    with (
        serving(new_pipeline()) as server,
        proxy_to(server.socket_port) as proxy,
        StatusClient(f"http://127.0.0.1:{proxy.port}") as client,
    ):
        client.wait_for(timeout=SECONDS)
        proxy.stall()
        closing = threading.Thread(target=client.close, daemon=True)
        closing.start()
        closing.join(SECONDS)
        assert not closing.is_alive()
        proxy.mend()


@pytest.mark.parametrize(
    "wrong",
    [
        {"namespace": "/elsewhere"},
        {"transports": ["carrier-pigeon"]},
        {"transports": []},
        {"timeout_seconds": 0},
        {"reconnect_delay_seconds": float("nan")},
        {"url": "localhost:8004"},
    ],
)
def test_bad_arguments_are_named_before_anything_starts(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        StatusClient(**wrong)
    with pytest.raises(ConfigurationError, match="limit"):
        StatusClient().events(limit=0)


PATCHED = """
import eventlet
eventlet.monkey_patch()
import sys, threading
from rag_pipeline.client import StatusClient
for transport in ("websocket", "polling"):
    with StatusClient(sys.argv[1], transports=[transport]) as client:
        states = client.wait_for(lambda states: any(s["total_processed"] for s in states.values()), 60)
        print(transport, client.connection, len(states), flush=True)
"""


def test_it_works_in_a_monkey_patched_program() -> None:
    pipeline = new_pipeline()
    pipeline.complete_file("a.txt")
    with serving(pipeline) as server:
        done = run("-c", PATCHED, url_of(server))
    assert (done.stdout, done.returncode) == ("websocket live 1\npolling live 1\n", 0), done.stderr


def test_the_states_equal_those_over_http() -> None:
    pipeline = new_pipeline()
    pipeline.add_processing_file("a.txt", "a", size=3, link="https://example.com/a")
    with serving(pipeline) as server, StatusClient(url_of(server)) as client:
        states = client.wait_for(timeout=SECONDS)
        assert without_volatile(states[pipeline.pipeline_id]) == without_volatile(
            get_json(server.http_port, "/status").body
        )


def signed(secret: str, seconds: float) -> str:
    """Return a JWT that is valid for this time."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"exp": time.time() + seconds}]
    head = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    signature = hmac.digest(secret.encode(), head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.skipif(find_spec("jwt") is None, reason="PyJWT is not installed")
@pytest.mark.parametrize("transports", TRANSPORTS)
def test_an_expired_token_is_renewed_or_reported(transports: list[str]) -> None:
    port, secret = free_port_pair(), "s" * 32
    url = f"http://127.0.0.1:{port}"
    asked: list[str] = []

    def renewed() -> str:
        asked.append(signed(secret, 10.0 if not asked else 3600.0))
        return asked[-1]

    with Program("status_server.py", "--demo", "--port", str(port), env={"STATUS_JWT_SECRET": secret}) as service:
        service.expect("Status")
        once = signed(secret, 10.0)
        with (
            StatusClient(url, token=renewed, transports=transports, **FAST) as renewing,
            StatusClient(url, token=once, transports=transports, **FAST) as fixed,
        ):
            fixed.wait_for(timeout=SECONDS)
            wait_until(lambda: fixed.connection is ConnectionState.REFUSED)
            with pytest.raises(AccessDeniedError, match="the token has expired") as refused:
                fixed.wait_for()
            assert refused.value.code == "token_expired"
            wait_until(lambda: len(asked) > 1)
            renewing.wait_for(timeout=SECONDS)
            assert len(asked) == 2
            assert renewing.recovered is True
    assert not any(token in service.output for token in (once, *asked))


def test_the_example_of_the_docs_works() -> None:
    docs = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", docs, re.DOTALL)
    pipeline = new_pipeline()
    pipeline.update(status="idle")
    with serving(pipeline) as server:
        done = run("-c", code.replace("8004", str(server.socket_port)))
    assert (done.stdout, done.stderr) == (f"{pipeline.pipeline_id} idle 0 done\n", "")
