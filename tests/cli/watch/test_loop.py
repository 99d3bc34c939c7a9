from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.cli.watch.loop import POLL_SECONDS, WatchLoop, WatchOptions
from rag_pipeline.cli.watch.output import WatchFrame
from rag_pipeline.cli.watch.work_tracker import IDLE_SECONDS
from rag_pipeline.client import (
    AccessDeniedError,
    ConnectionState,
    Event,
    StatusClient,
    UnreachableError,
    WaitTimeoutError,
)
from rag_pipeline.errors import ConfigurationError, ExitCode
from tests.client.scripted import refuse, scripted
from tests.journal.cut_proxy import proxy_to
from tests.socket_server.support import new_pipeline, serving
from tests.support.ports import taken_port

pytestmark = pytest.mark.slow

FAST: dict[str, Any] = {"reconnect_delay_seconds": 0.02, "reconnect_delay_max_seconds": 0.1}


class RecordingOutput:
    """An output that keeps what it is shown; ``then`` is called with each frame."""

    wants_events = True

    def __init__(self, then: Callable[[WatchFrame], None] = lambda _frame: None) -> None:
        self.frames: list[WatchFrame] = []
        self.new: list[Event] = []
        self.calls: list[str | None] = []
        self._then = then

    def begin(self) -> None:
        self.calls.append("begin")

    def show(self, frame: WatchFrame, new: Sequence[Event]) -> None:
        self.frames.append(frame)
        self.new += new
        self._then(frame)

    def missed(self, reason: str) -> None:
        self.calls.append(reason)

    def end(self, summary: str | None) -> None:
        self.calls.append(summary)


class StopButton:
    """A stop request that a test presses."""

    def __init__(self) -> None:
        self._pressed = threading.Event()

    def press(self) -> None:
        self._pressed.set()

    def wait(self, timeout_seconds: float) -> bool:
        return self._pressed.wait(timeout_seconds)


def watch(
    url: str,
    output: RecordingOutput,
    options: WatchOptions = WatchOptions(),  # noqa: B008
    stop: StopButton | None = None,
) -> int:
    with StatusClient(url, **FAST) as client:
        return WatchLoop(client, output, options).run(stop or StopButton())


def working(*pipelines: PipelineStatus, fail: bool = False) -> Callable[[WatchFrame], None]:
    """Return a callback that does the pipelines' work once they are live."""
    done: list[int] = []

    def work(frame: WatchFrame) -> None:
        if frame.connection is ConnectionState.LIVE and not done:
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
        output = RecordingOutput(working(*pipelines, fail=fail))
        assert watch(f"http://127.0.0.1:{server.http_port}", output, WatchOptions(until_idle=True)) == code
    done, failed = (0, 2) if fail else (2, 0)
    assert output.calls == ["begin", f"{done} completed, {failed} failed, 0 skipped, 0 deleted"]
    assert [name for name, _ in output.new].count("pipeline:file_processing_started") == 2


def test_a_pipeline_in_error_is_a_failure_too() -> None:
    pipeline = new_pipeline()
    pipeline.update(status="error")
    with serving(pipeline) as server:
        assert watch(f"http://127.0.0.1:{server.http_port}", RecordingOutput(), WatchOptions(until_idle=True)) == 1


def test_unfinished_work_runs_into_the_timeout() -> None:
    pipeline = new_pipeline()
    pipeline.add_processing_file("a.txt")
    output = RecordingOutput()
    with (
        serving(pipeline) as server,
        pytest.raises(WaitTimeoutError, match=r"not done within 0\.2 seconds: 0 completed"),
    ):
        watch(f"http://127.0.0.1:{server.http_port}", output, WatchOptions(until_idle=True, timeout_seconds=0.2))
    assert output.calls == ["begin", None]
    assert WaitTimeoutError.exit_code is ExitCode.TIMEOUT


def test_only_the_chosen_pipelines_are_shown_and_waited_for() -> None:
    busy, idle = new_pipeline(), new_pipeline()
    busy.add_processing_file("a.txt")
    with serving(busy, idle) as server:
        options = WatchOptions(pipelines=[idle.pipeline_id], until_idle=True)
        output = RecordingOutput(working(idle))
        assert watch(f"http://127.0.0.1:{server.http_port}", output, options) == ExitCode.OK
        assert {key for frame in output.frames for key in frame.states} == {idle.pipeline_id}
        assert {data["pipeline_id"] for _, data in output.new} == {idle.pipeline_id}
        assert not any(frame.notice for frame in output.frames)
        waiting = RecordingOutput()
        both = options._replace(pipelines=[idle.pipeline_id, "later"], timeout_seconds=2, wait=True)
        with pytest.raises(WaitTimeoutError):
            watch(f"http://127.0.0.1:{server.http_port}", waiting, both)
        known = ", ".join(sorted((busy.pipeline_id, idle.pipeline_id)))
        assert waiting.frames[-1].notice == f"the service has no pipeline later: it has {known}"


def test_until_idle_ends_if_the_service_has_no_such_pipeline_unless_it_waits() -> None:
    pipeline = new_pipeline()
    pipeline.update(status="idle")
    with serving(pipeline) as server:
        options = WatchOptions(pipelines=["nope"], until_idle=True, timeout_seconds=20)
        message = rf"^the service has no pipeline nope: it has {pipeline.pipeline_id}; use --wait to wait for it$"
        with pytest.raises(ConfigurationError, match=message):
            watch(f"http://127.0.0.1:{server.http_port}", RecordingOutput(), options)


def test_until_idle_gives_a_pipeline_a_moment_to_appear() -> None:
    later: list[PipelineStatus] = []

    def then(frame: WatchFrame) -> None:
        if frame.notice and not later:
            later.append(PipelineStatus("local_files", "watched-later"))
            later[0].update(status="idle")

    with start_status_server(0) as server:
        options = WatchOptions(pipelines=["watched-later"], until_idle=True, timeout_seconds=20)
        assert watch(server.url, RecordingOutput(then), options) == ExitCode.OK
    assert later


@pytest.mark.parametrize(("until_idle", "code"), [(False, ExitCode.OK), (True, ExitCode.INTERRUPTED)])
def test_a_stop_request_ends_watching_and_interrupts_until_idle(until_idle: bool, code: ExitCode) -> None:
    pipeline, button = new_pipeline(), StopButton()
    pipeline.update(status="processing")

    def then(frame: WatchFrame) -> None:
        if frame.connection is ConnectionState.LIVE:
            button.press()

    with serving(pipeline) as server:
        url = f"http://127.0.0.1:{server.http_port}"
        assert watch(url, RecordingOutput(then), WatchOptions(until_idle=until_idle), button) == code


def test_an_unreachable_service_is_an_error_without_wait() -> None:
    with taken_port() as port:
        pass
    url = f"http://127.0.0.1:{port}"
    with pytest.raises(UnreachableError, match="Connection refused"):
        watch(url, RecordingOutput())
    button = StopButton()
    frames: list[WatchFrame] = []

    def then(frame: WatchFrame) -> None:
        frames.append(frame)
        if sum(frame.error is not None for frame in frames) > 3:
            button.press()

    assert watch(url, RecordingOutput(then), WatchOptions(wait=True), button) == ExitCode.OK


def test_watching_goes_on_after_a_restart_of_the_service() -> None:
    pipeline, button = new_pipeline(), StopButton()
    with taken_port() as port:
        pass
    connections: list[ConnectionState] = []
    live, gone, back = threading.Event(), threading.Event(), threading.Event()

    def then(frame: WatchFrame) -> None:
        connections.append(frame.connection)
        if frame.connection is ConnectionState.RECONNECTING:
            gone.set()
        if frame.connection is ConnectionState.LIVE:
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
    assert watch(f"http://127.0.0.1:{port}", RecordingOutput(then), WatchOptions(wait=True), button) == ExitCode.OK
    thread.join(20)
    assert ConnectionState.RECONNECTING in connections


def test_idle_before_a_break_does_not_end_until_idle() -> None:
    pipeline, button = new_pipeline(), StopButton()
    pipeline.update(status="idle")
    away: list[WatchFrame] = []
    with serving(pipeline) as server, proxy_to(server.socket_port) as proxy:

        def then(frame: WatchFrame) -> None:
            if frame.connection is ConnectionState.LIVE:
                proxy.cut()
            if frame.connection is ConnectionState.RECONNECTING:
                away.append(frame)
            if len(away) > 1.5 * IDLE_SECONDS / POLL_SECONDS:
                button.press()

        options = WatchOptions(wait=True, until_idle=True)
        assert watch(f"http://127.0.0.1:{proxy.port}", RecordingOutput(then), options, button) == ExitCode.INTERRUPTED


def test_a_refusal_ends_watching() -> None:
    with scripted() as script:
        script.on_connect = lambda _auth: refuse("token_missing")
        with pytest.raises(AccessDeniedError):
            watch(f"http://127.0.0.1:{script.port}", RecordingOutput(), WatchOptions(wait=True, until_idle=True))


def test_an_output_that_falls_behind_gets_a_remark_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, button = new_pipeline(), StopButton()
    monkeypatch.setattr(StatusClient, "events", lambda client: client._state.stream(5, None))
    flooded: list[int] = []

    def then(frame: WatchFrame) -> None:
        if frame.connection is not ConnectionState.LIVE:
            return
        if not flooded:
            for n in range(100):
                pipeline.update(own={"n": n})
        flooded.append(1)
        if frame.states[pipeline.pipeline_id].get("n") == 99 and len(flooded) > 5:
            button.press()

    with serving(pipeline) as server:
        output = RecordingOutput(then)
        assert watch(f"http://127.0.0.1:{server.http_port}", output, stop=button) == ExitCode.OK
    assert any("more than 5 events" in call for call in output.calls if call)
