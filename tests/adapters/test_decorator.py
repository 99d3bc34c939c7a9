"""The decorator on each kind of function, as a client sees it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters import File, stage, tracked
from rag_pipeline.adapters.current_file import current
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline, watching
from tests.support.waiting import wait_until


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


def test_a_client_sees_files_stages_and_failures_live(pipeline: PipelineStatus) -> None:
    with watching(pipeline) as watched:

        @tracked(status=pipeline)
        def ingest(path: Path) -> dict[str, int]:
            for step in ("chunking", "embedding"):
                stage(step)
                watched.wait_for_stage(str(path), step)
            if path.name == "b.pdf":
                raise PermissionError(f"{path} can't be read")
            return {"chunks": 3}

        ingest(Path("a.pdf"))
        with pytest.raises(PermissionError):
            ingest(Path("b.pdf"))
        wait_until(lambda: len(watched.ends) == 2)
        assert watched.ends == [("a.pdf", "completed"), ("b.pdf", "failed")]
        assert watched.end("a.pdf")["result"] == {"chunks": 3}
        error = {"type": "PermissionError", "message": "b.pdf can't be read", "stage": "embedding", "retryable": False}
        assert watched.end("b.pdf")["error"] == error


def test_without_status_it_uses_a_pipeline_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from rag_pipeline.adapters import decorator
    from rag_pipeline.adapters.reporter import Reporter

    own = new_pipeline()
    monkeypatch.setattr(decorator, "_default", Reporter("pipeline", own))

    @tracked
    def ingest(path: str) -> None: ...

    ingest("a.pdf")
    assert own.get()["total_processed"] == 1


def test_methods_work_and_the_file_can_be_chosen(pipeline: PipelineStatus) -> None:
    class Store:
        @tracked(file=lambda _, order: File(order["name"], order["id"]), status=pipeline)
        def add(self, order: dict[str, str]) -> str:
            return order["id"]

        @tracked(file="path", status=pipeline)
        def load(self, title: str, path: str) -> None: ...

    assert Store().add({"name": "a.pdf", "id": "7"}) == "7"
    Store().load("T", "b.pdf")
    assert [(f["name"], f["id"]) for f in pipeline.get()["files_completed"]] == [("a.pdf", "7"), ("b.pdf", None)]


def test_a_missing_argument_is_an_error_at_decoration() -> None:
    with pytest.raises(ValueError, match="has no argument 'pth'"):

        @tracked(file="pth")
        def ingest(path: str) -> None: ...


def test_a_call_without_a_file_still_runs(pipeline: PipelineStatus) -> None:
    @tracked(status=pipeline)
    def double(number: int) -> int:
        return number * 2

    assert double(4) == 8
    assert not core_of(pipeline).reported


def test_a_call_with_wrong_arguments_raises_the_usual_error(pipeline: PipelineStatus) -> None:
    @tracked(status=pipeline)
    def ingest(path: str) -> None: ...

    with pytest.raises(TypeError, match=r"ingest\(\) missing 1 required positional argument: 'path'"):
        ingest()  # type: ignore[call-arg]


def test_nested_tracked_functions_are_stages(pipeline: PipelineStatus) -> None:
    @tracked(status=pipeline)
    def embed(path: str) -> None: ...

    @tracked(status=pipeline)
    def ingest(path: str) -> None:
        embed(path)
        embed("other.pdf")

    ingest("a.pdf")
    done = pipeline.get()["files_completed"]
    assert [(file["name"], file["stage"]) for file in done] == [("other.pdf", None), ("a.pdf", "embed")]


def test_coroutines_are_in_flight_while_they_wait(pipeline: PipelineStatus) -> None:
    @tracked(status=pipeline)
    async def ingest(path: str) -> str:
        await asyncio.sleep(0)
        stage(f"stage of {path}")
        if path == "c.pdf":
            raise OSError("gone")
        return path

    async def all_of_them() -> list[Any]:
        calls = [ingest(path) for path in ("a.pdf", "b.pdf", "c.pdf")]
        return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(all_of_them())
    assert results[:2] == ["a.pdf", "b.pdf"]
    state = pipeline.get()
    assert [file["stage"] for file in state["files_completed"]] == ["stage of a.pdf", "stage of b.pdf"]
    assert state["files_failed"][0]["error"]["stage"] == "stage of c.pdf"


def test_a_cancelled_coroutine_fails(pipeline: PipelineStatus) -> None:
    @tracked(status=pipeline)
    async def ingest(path: str) -> None:
        await asyncio.Event().wait()

    async def cancel() -> None:
        task = asyncio.create_task(ingest("a.pdf"))
        while not pipeline.get()["files_in_flight"]:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert pipeline.get()["files_failed"][0]["error"]["type"] == "CancelledError"


def test_a_generators_file_is_current_only_during_its_steps(pipeline: PipelineStatus) -> None:
    @tracked(status=pipeline)
    def chunks(path: str) -> Iterator[str]:
        stage("reading")
        yield "one"
        stage("still reading")
        yield "two"

    seen = []
    for chunk in chunks("a.pdf"):
        seen.append((chunk, current()))
        assert pipeline.get()["files_in_flight"] == 1
    assert seen == [("one", None), ("two", None)]
    assert pipeline.get()["files_completed"][0]["stage"] == "still reading"


def test_a_generator_that_is_closed_early_is_skipped(pipeline: PipelineStatus) -> None:
    closed = []

    @tracked(status=pipeline)
    def chunks(path: str) -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(path)

    iterator = chunks("a.pdf")
    assert next(iterator) == 1
    iterator.close()  # type: ignore[attr-defined]
    assert closed == ["a.pdf"]
    assert pipeline.get()["total_skipped"] == 1


def test_an_async_generator_is_in_flight_from_its_first_step_to_its_last(pipeline: PipelineStatus) -> None:
    @tracked(status=pipeline)
    async def chunks(path: str) -> AsyncGenerator[int, str]:
        answer = yield 1
        stage(answer)
        yield 2

    async def read(path: str, *, to_the_end: bool) -> None:
        iterator = chunks(path)
        assert await anext(iterator) == 1
        assert current() is None
        assert await iterator.asend("embedding") == 2
        if to_the_end:
            with pytest.raises(StopAsyncIteration):
                await anext(iterator)
        else:
            await iterator.aclose()

    asyncio.run(read("a.pdf", to_the_end=True))
    asyncio.run(read("b.pdf", to_the_end=False))
    state = pipeline.get()
    assert [(file["name"], file["stage"]) for file in state["files_completed"]] == [("a.pdf", "embedding")]
    assert [file["name"] for file in state["files_skipped"]] == ["b.pdf"]


def test_exceptions_thrown_into_an_async_generator_reach_it(pipeline: PipelineStatus) -> None:
    @tracked(status=pipeline)
    async def chunks(path: str) -> AsyncGenerator[int, None]:
        try:
            yield 1
        except KeyError:
            yield 2
        yield 3
        raise LookupError("end")

    async def read() -> None:
        iterator = chunks("a.pdf")
        await anext(iterator)
        assert await iterator.athrow(KeyError()) == 2
        assert await anext(iterator) == 3
        with pytest.raises(LookupError):
            await anext(iterator)

    asyncio.run(read())
    assert pipeline.get()["files_failed"][0]["error"]["type"] == "LookupError"


STEPS = st.lists(st.sampled_from(["next", "send", "throw", "throw-other"]), max_size=8)


def script(number: int) -> Generator[int, int, str]:
    """A generator that uses the whole protocol: it answers, catches and returns."""
    total = 0
    for step in range(number):
        try:
            total += (yield step) or 0
        except KeyError:
            total += 100
    return f"total {total}"


def play(iterator: Generator[int, int, str], steps: list[str]) -> list[object]:
    """Return the results of the steps."""
    moves: dict[str, Callable[[], object]] = {
        "next": lambda: next(iterator),
        "send": lambda: iterator.send(7),
        "throw": lambda: iterator.throw(KeyError("k")),
        "throw-other": lambda: iterator.throw(ValueError("v")),
    }
    seen: list[object] = []
    for step in steps:
        try:
            seen.append(moves[step]())
        except StopIteration as end:
            seen.append(("returned", end.value))
        except Exception as error:  # noqa: BLE001 - any exception must be the same
            seen.append((type(error), str(error)))
    return seen


@pytest.mark.slow
@given(number=st.integers(0, 4), steps=STEPS)
def test_a_tracked_generator_behaves_like_the_original(number: int, steps: list[str]) -> None:
    pipeline = PipelineStatus("pipeline", "adapter-test-generator")
    shown = tracked(file=lambda _: "a.pdf", status=pipeline)(script)
    untold = tracked(file=lambda _: None, status=pipeline)(script)
    expected = play(script(number), steps)
    assert play(shown(number), steps) == expected
    assert play(untold(number), steps) == expected


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (inspect.isfunction, lambda path: path),
        (inspect.isgeneratorfunction, script),
    ],
)
def test_a_tracked_function_is_of_the_same_kind(kind: Callable[[object], bool], function: Callable[..., Any]) -> None:
    made = tracked(function)
    assert kind(made)
    assert made.__name__ == function.__name__
    assert inspect.signature(made) == inspect.signature(function)


def test_a_tracked_coroutine_function_is_a_coroutine_function() -> None:
    async def coroutine(path: str) -> None: ...

    async def generator(path: str) -> AsyncGenerator[int, None]:
        yield 1

    assert inspect.iscoroutinefunction(tracked(coroutine))
    assert inspect.isasyncgenfunction(tracked(generator))


def test_a_failing_choice_does_not_stop_the_work(pipeline: PipelineStatus) -> None:
    @tracked(file=lambda _: 1 / 0, status=pipeline)
    def ingest(path: str) -> str:
        return path

    assert ingest("a.pdf") == "a.pdf"
