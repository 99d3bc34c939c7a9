from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest

from rag_pipeline.contract import events
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder


@pytest.fixture
def watched() -> tuple[PipelineStatus, Recorder]:
    pipeline, recorder = PipelineStatus("local_files", "block"), Recorder()
    core_of(pipeline).attach(recorder)
    recorder.items.clear()
    return pipeline, recorder


Watched = tuple[PipelineStatus, Recorder]


def test_a_block_that_ends_is_completed(watched: Watched) -> None:
    pipeline, recorder = watched
    with pipeline.processing("a.pdf", "1", size=5, mime_type="application/pdf", link="http://x") as file:
        assert pipeline.get()["files_in_flight"] == 1
        file.stage("chunking", 0.5)
        file.set_result({"chunks": 3})
    assert recorder.names == [events.FILE_STARTED, events.FILE_PROGRESS, events.FILE_COMPLETED]
    shown = recorder.last["file"]
    assert (shown["name"], shown["id"], shown["size"], shown["mime_type"], shown["link"]) == (
        "a.pdf",
        "1",
        5,
        "application/pdf",
        "http://x",
    )
    assert (shown["result"], shown["stage"], shown["error"]) == ({"chunks": 3}, "chunking", None)


def test_a_block_that_raises_fails_the_file_and_propagates(watched: Watched) -> None:
    pipeline, recorder = watched

    def work() -> None:
        with pipeline.processing("a") as file:
            file.stage("extracting")
            raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"):
        work()
    assert recorder.last["file"]["error"] == {
        "type": "ValueError",
        "message": "no text",
        "stage": "extracting",
        "retryable": False,
    }
    assert pipeline.get()["total_failed"] == 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_block_fails_the_file(watched: Watched, kind: type[BaseException]) -> None:
    pipeline, recorder = watched
    with pytest.raises(kind), pipeline.processing("a"):
        raise kind
    assert recorder.last["file"]["error"]["type"] == kind.__name__


@pytest.mark.parametrize("name", ["plain.txt", "caf\udce9.txt"])
@pytest.mark.parametrize(
    "end",
    [
        lambda p, name: p.complete_file(name),
        lambda p, name: p.complete_file(name, success=False, error="x"),
        lambda p, name: p.complete_file(name, file_id="known-at-last"),
        lambda p, name: p.skip_file(name, "why"),
        lambda p, name: p.delete_file(name),
    ],
)
def test_a_block_whose_file_was_ended_emits_nothing_more(
    watched: Watched, end: Callable[[PipelineStatus, str], None], name: str
) -> None:
    pipeline, recorder = watched
    with pipeline.processing(name):
        end(pipeline, name)
    assert len(recorder.changes) == 2

    def work() -> None:
        with pipeline.processing(name):
            end(pipeline, name)
            raise ValueError

    with pytest.raises(ValueError):
        work()
    assert len(recorder.changes) == 4


def test_a_block_does_not_end_a_file_that_was_restarted(watched: Watched) -> None:
    pipeline, recorder = watched
    with pipeline.processing("a"):
        pipeline.add_processing_file("a")
    assert recorder.names == [events.FILE_STARTED, events.FILE_STARTED]
    assert pipeline.get()["files_in_flight"] == 1


def test_skip_ends_the_file_with_the_reason(watched: Watched) -> None:
    pipeline, recorder = watched
    with pipeline.processing("a") as file:
        file.skip("unchanged")
    assert recorder.names == [events.FILE_STARTED, events.FILE_SKIPPED]
    assert recorder.last["file"]["error"]["message"] == "unchanged"


def test_in_strict_mode_a_result_that_is_not_json_fails_the_file(watched: Watched) -> None:
    pipeline, recorder = watched
    with pytest.raises(ValueError, match="result holds nan"), pipeline.processing("a") as file:
        file.set_result(math.nan)
    assert recorder.names == [events.FILE_STARTED, events.FILE_FAILED]


def test_a_bad_argument_starts_no_file(watched: Watched) -> None:
    pipeline, recorder = watched
    with pytest.raises(ValueError), pipeline.processing("a", size=-1):
        pass
    assert recorder.items == []
    assert pipeline.get()["seq"] == 0


def test_ids_distinguish_files_of_one_name_in_nested_blocks(watched: Watched) -> None:
    pipeline, recorder = watched
    with pipeline.processing("a", "1"), pipeline.processing("a", "2") as inner:
        inner.stage("s")
    assert [e.payload()["file"]["id"] for e in recorder.changes] == ["1", "2", "2", "2", "1"]


def test_async_with_does_the_same(watched: Watched) -> None:
    pipeline, recorder = watched

    async def work(name: str) -> None:
        async with pipeline.processing(name) as file:
            await asyncio.sleep(0)
            file.stage("s")
            if name == "bad":
                raise ValueError("no text")

    async def main() -> None:
        await asyncio.gather(*(work(n) for n in ("a", "bad", "c")), return_exceptions=True)

    asyncio.run(main())
    state = pipeline.get()
    assert (state["total_processed"], state["total_failed"], state["files_in_flight"]) == (2, 1, 0)
    assert [e.seq for e in recorder.changes] == list(range(1, 10))


def test_a_cancelled_task_fails_the_file(watched: Watched) -> None:
    pipeline, recorder = watched

    async def work() -> None:
        async with pipeline.processing("a"):
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert recorder.last["file"]["error"]["type"] == "CancelledError"


def test_a_block_collects_warnings_and_quality(watched: Watched) -> None:
    pipeline, recorder = watched
    with pipeline.processing("a") as file:
        file.warn("odd", "some text is odd")
        file.warn("odd", "some text is odd", count=2)
        file.set_quality({"pages": 3})
        assert pipeline.get()["files_processing"][0]["warnings"] == []
    assert recorder.last["file"]["warnings"] == [{"type": "odd", "message": "some text is odd", "count": 3}]
    assert recorder.last["file"]["quality"] == {"pages": 3}


def test_a_block_that_raises_shows_the_error_and_no_warnings(watched: Watched) -> None:
    pipeline, recorder = watched

    def work() -> None:
        with pipeline.processing("a") as file:
            file.warn("odd", "some text is odd")
            file.set_quality({"pages": 3})
            raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"):
        work()
    shown = recorder.last["file"]
    assert (shown["warnings"], shown["quality"], shown["error"]["message"]) == ([], None, "no text")
    assert pipeline.get()["total_with_warnings"] == 0
