from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.cli.watch.follow import LOOK_SECONDS, Follower, Orders
from rag_pipeline.cli.watch.view import Look
from rag_pipeline.cli.watch.work import SETTLED_SECONDS
from rag_pipeline.client import (
    AccessDeniedError,
    ConnectionState,
    Event,
    StatusClient,
    UnreachableError,
    WaitTimeoutError,
)
from rag_pipeline.errors import ExitCode
from tests.client.scripted import refuse, scripted
from tests.journal.cut_proxy import proxy_to
from tests.socket_server.support import new_pipeline, serving
from tests.support.ports import taken_port

FAST: dict[str, Any] = {"reconnect_delay_seconds": 0.02, "reconnect_delay_max_seconds": 0.1}


class Seen:
    """A view that keeps what it is shown; ``then`` is called at each look."""

    wants_events = True

    def __init__(self, then: Callable[[Look], None] = lambda _look: None) -> None:
        self.looks: list[Look] = []
        self.new: list[Event] = []
        self.told: list[str | None] = []
        self._then = then

    def begin(self) -> None:
        self.told.append("begin")

    def show(self, look: Look, new: Sequence[Event]) -> None:
        self.looks.append(look)
        self.new += new
        self._then(look)

    def missed(self, reason: str) -> None:
        self.told.append(reason)

    def end(self, summary: str | None) -> None:
        self.told.append(summary)


class Button:
    """What ends the watching when a test says so."""

    def __init__(self) -> None:
        self._pressed = threading.Event()

    def press(self) -> None:
        self._pressed.set()

    def wait(self, timeout_seconds: float) -> bool:
        return self._pressed.wait(timeout_seconds)


def following(url: str, view: Seen, orders: Orders = Orders(), stop: Button | None = None) -> int:  # noqa: B008
    with StatusClient(url, **FAST) as client:
        return Follower(client, view, orders).run(stop or Button())


def working(*pipelines: PipelineStatus, fail: bool = False) -> Callable[[Look], None]:
    """Return what does the work of the pipelines once they are seen."""
    done: list[int] = []

    def work(look: Look) -> None:
        if look.connection is ConnectionState.LIVE and not done:
            done.append(1)
            for pipeline in pipelines:
                pipeline.add_processing_file("a.txt")
                pipeline.complete_file("a.txt", not fail)
                pipeline.update(status="idle")

    return work


@pytest.mark.parametrize(("fail", "code"), [(False, ExitCode.OK), (True, ExitCode.FILES_FAILED)])
def test_until_idle_ends_when_all_work_is_done(fail: bool, code: ExitCode) -> None:
    pipelines = (new_pipeline(), new_pipeline())
    with serving(*pipelines) as server:
        seen = Seen(working(*pipelines, fail=fail))
        assert following(f"http://127.0.0.1:{server.http_port}", seen, Orders(until_idle=True)) == code
    done, failed = (0, 2) if fail else (2, 0)
    assert seen.told == ["begin", f"{done} completed, {failed} failed, 0 skipped, 0 deleted"]
    assert [name for name, _ in seen.new].count("pipeline:file_processing_started") == 2


def test_a_pipeline_in_error_is_a_failure_too() -> None:
    pipeline = new_pipeline()
    pipeline.update(status="error")
    with serving(pipeline) as server:
        assert following(f"http://127.0.0.1:{server.http_port}", Seen(), Orders(until_idle=True)) == 1


def test_work_that_goes_on_runs_into_the_timeout() -> None:
    pipeline = new_pipeline()
    pipeline.add_processing_file("a.txt")
    seen = Seen()
    with (
        serving(pipeline) as server,
        pytest.raises(WaitTimeoutError, match=r"not done within 0\.2 seconds: 0 completed"),
    ):
        following(f"http://127.0.0.1:{server.http_port}", seen, Orders(until_idle=True, timeout_seconds=0.2))
    assert seen.told == ["begin", None]
    assert WaitTimeoutError.exit_code is ExitCode.TIMEOUT


def test_only_the_pipelines_that_were_asked_for_are_shown_and_waited_for() -> None:
    busy, idle = new_pipeline(), new_pipeline()
    busy.add_processing_file("a.txt")
    with serving(busy, idle) as server:
        orders = Orders(pipelines=[idle.pipeline_id], until_idle=True)
        seen = Seen(working(idle))
        assert following(f"http://127.0.0.1:{server.http_port}", seen, orders) == ExitCode.OK
        assert {key for look in seen.looks for key in look.states} == {idle.pipeline_id}
        assert {data["pipeline_id"] for _, data in seen.new} == {idle.pipeline_id}
        with pytest.raises(WaitTimeoutError):
            following(
                f"http://127.0.0.1:{server.http_port}",
                Seen(),
                orders._replace(pipelines=[idle.pipeline_id, "later"], timeout_seconds=2),
            )


@pytest.mark.parametrize(("until_idle", "code"), [(False, ExitCode.OK), (True, ExitCode.INTERRUPTED)])
def test_being_told_to_stop_is_how_watching_ends_and_no_end_of_waiting(until_idle: bool, code: ExitCode) -> None:
    pipeline, button = new_pipeline(), Button()
    pipeline.update(status="processing")

    def then(look: Look) -> None:
        if look.connection is ConnectionState.LIVE:
            button.press()

    with serving(pipeline) as server:
        url = f"http://127.0.0.1:{server.http_port}"
        assert following(url, Seen(then), Orders(until_idle=until_idle), button) == code


def test_a_service_that_is_not_there_is_an_error_unless_it_is_to_be_waited_for() -> None:
    with taken_port() as port:
        pass
    url = f"http://127.0.0.1:{port}"
    with pytest.raises(UnreachableError, match="Connection refused"):
        following(url, Seen())
    button = Button()
    looks: list[Look] = []

    def then(look: Look) -> None:
        looks.append(look)
        if sum(look.error is not None for look in looks) > 3:
            button.press()

    assert following(url, Seen(then), Orders(wait=True), button) == ExitCode.OK


def test_a_service_that_goes_and_comes_back_is_followed_on() -> None:
    pipeline, button = new_pipeline(), Button()
    with taken_port() as port:
        pass
    connections: list[ConnectionState] = []
    live, gone, back = threading.Event(), threading.Event(), threading.Event()

    def then(look: Look) -> None:
        connections.append(look.connection)
        if look.connection is ConnectionState.RECONNECTING:
            gone.set()
        if look.connection is ConnectionState.LIVE:
            live.set()
            if back.is_set():
                button.press()

    def serve() -> None:
        with serving(pipeline, http_port=0, socket_port=port):
            live.wait(20)
        gone.wait(20)
        back.set()
        with serving(pipeline, http_port=0, socket_port=port):
            button.wait(20)

    thread = threading.Thread(target=serve)
    thread.start()
    assert following(f"http://127.0.0.1:{port}", Seen(then), Orders(wait=True), button) == ExitCode.OK
    thread.join(20)
    assert ConnectionState.RECONNECTING in connections


def test_what_was_idle_before_the_service_went_is_no_end_of_the_work() -> None:
    pipeline, button = new_pipeline(), Button()
    pipeline.update(status="idle")
    away: list[Look] = []
    with serving(pipeline) as server, proxy_to(server.socket_port) as proxy:

        def then(look: Look) -> None:
            if look.connection is ConnectionState.LIVE:
                proxy.cut()
            if look.connection is ConnectionState.RECONNECTING:
                away.append(look)
            if len(away) > 1.5 * SETTLED_SECONDS / LOOK_SECONDS:
                button.press()

        orders = Orders(wait=True, until_idle=True)
        assert following(f"http://127.0.0.1:{proxy.port}", Seen(then), orders, button) == ExitCode.INTERRUPTED


def test_a_refusal_ends_it() -> None:
    with scripted() as script:
        script.on_connect = lambda _auth: refuse("token_missing")
        with pytest.raises(AccessDeniedError):
            following(f"http://127.0.0.1:{script.port}", Seen(), Orders(wait=True, until_idle=True))


def test_a_view_that_does_not_keep_up_is_told_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, button = new_pipeline(), Button()
    monkeypatch.setattr(StatusClient, "events", lambda client: client._state.stream(5, None))
    flooded: list[int] = []

    def then(look: Look) -> None:
        if look.connection is not ConnectionState.LIVE:
            return
        if not flooded:
            for n in range(100):
                pipeline.update(own={"n": n})
        flooded.append(1)
        if look.states[pipeline.pipeline_id].get("n") == 99 and len(flooded) > 5:
            button.press()

    with serving(pipeline) as server:
        seen = Seen(then)
        assert following(f"http://127.0.0.1:{server.http_port}", seen, stop=button) == ExitCode.OK
    assert any("more than 5 events" in told for told in seen.told if told)
